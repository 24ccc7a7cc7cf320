"""Every attention backend equals softmax(q·kᵀ/√d)·v crop by crop, and says why where it does not run."""

import importlib.util

import pytest
import torch

from raydino.errors import UserError
from raydino.nn.attention import ATTENTION_BACKENDS, choose, sdpa
from raydino.nn.packing import Layout
from raydino.nn.plain_attention import plain

CPU = torch.device("cpu")
LAYOUT = Layout(((2, 5), (3, 4)))
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="packed kernels need a CUDA GPU")


def packed(head_dim: int = 8, dtype: torch.dtype = torch.float64, device: str = "cpu") -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(22, 3, 2, head_dim, generator=generator, dtype=torch.float64).to(device, dtype).requires_grad_()


def crop_by_crop(qkv: torch.Tensor) -> torch.Tensor:
    mixed, start = torch.zeros_like(qkv[:, 0]), 0
    for length in (5, 5, 4, 4, 4):
        crop = slice(start, start + length)
        for head in range(qkv.shape[2]):
            query, key, value = qkv[crop, :, head].unbind(1)
            weights = torch.exp(query @ key.T / qkv.shape[-1] ** 0.5)
            mixed[crop, head] = weights @ value / weights.sum(dim=1, keepdim=True)
        start += length
    return mixed


def value_and_gradient(backend, qkv: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mixed = backend(qkv)
    weights = torch.arange(mixed.numel(), device=qkv.device).view_as(mixed).sin()
    (gradient,) = torch.autograd.grad((mixed.double() * weights).sum(), qkv)
    return mixed.detach(), gradient


@pytest.mark.parametrize("backend", [plain, sdpa])
def test_backend_equals_the_formula(backend):
    expected = value_and_gradient(crop_by_crop, packed())
    for got, wanted in zip(value_and_gradient(lambda qkv: backend(qkv, LAYOUT), packed()), expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("backend", [plain, sdpa])
def test_half_precision(backend):
    expected = value_and_gradient(crop_by_crop, packed(64))
    got = value_and_gradient(lambda qkv: backend(qkv, LAYOUT), packed(64, torch.bfloat16))
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one.double(), other, atol=3e-2, rtol=3e-2)


@needs_gpu
@pytest.mark.parametrize("name", ["plain", "sdpa", "varlen", "xformers"])
def test_backend_equals_the_formula_on_a_gpu(name):
    if name == "xformers" and importlib.util.find_spec("xformers") is None:
        pytest.skip("xformers is not installed")
    backend = choose(name, torch.device("cuda"))
    expected = value_and_gradient(crop_by_crop, packed(64, device="cuda"))
    got = value_and_gradient(lambda qkv: backend(qkv, LAYOUT), packed(64, torch.bfloat16, "cuda"))
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one.double(), other, atol=3e-2, rtol=3e-2)


def test_varlen_takes_what_its_kernel_does_not_to_sdpa():
    varlen = ATTENTION_BACKENDS.get("varlen")
    torch.testing.assert_close(varlen(packed(), LAYOUT), crop_by_crop(packed()), atol=1e-12, rtol=0)


def test_auto_is_plain_on_a_cpu():
    assert choose("auto", CPU) is plain
    assert choose("sdpa", CPU) is sdpa


def test_an_unknown_backend_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'sdpa'"):
        choose("sdpaa", CPU)


def test_a_backend_that_does_not_run_here_gives_its_reason(monkeypatch):
    def broken(qkv, layout):
        raise NotImplementedError("no kernel\nlong trace")

    monkeypatch.setattr(ATTENTION_BACKENDS, "get", lambda name: broken)
    with pytest.raises(UserError, match=r"'mine' does not run on cpu here \(no kernel\)"):
        choose("mine", CPU)
