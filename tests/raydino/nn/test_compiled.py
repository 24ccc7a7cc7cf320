"""Compiled blocks compute what eager ones do; a machine that cannot compile says why."""

import pytest
import torch

from raydino.nn.compiled import compile_blocks, why_not_compile
from raydino.nn.vit import VisionTransformer, ViTConfig

CPU = torch.device("cpu")
SIZES = {"image_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 2, "n_heads": 2, "layerscale_init": 0.5}


def outputs(model: VisionTransformer) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(n, 1, side, side, generator=generator) for n, side in ((2, 16), (3, 8))]
    model.zero_grad()
    cls = [tokens.cls for tokens in model.forward_packed([(crops, None) for crops in images])]
    torch.cat(cls).sin().sum().backward()
    return [*cls, *(p.grad for p in model.parameters() if p.grad is not None)]


@pytest.mark.skipif(why_not_compile(CPU) is not None, reason=f"{why_not_compile(CPU)}")
def test_equal_to_eager():
    model = VisionTransformer(ViTConfig(**SIZES)).initialise(torch.Generator().manual_seed(0))
    expected = [t.clone() for t in outputs(model)]
    names = set(model.state_dict())
    assert compile_blocks(model, CPU) is None
    for got, wanted in zip(outputs(model), expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)
    assert set(model.state_dict()) == names


def test_without_a_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    model = VisionTransformer(ViTConfig(**SIZES))
    before = model.blocks[0].run
    assert compile_blocks(model, CPU) == "torch.compile needs the compiler no-such-compiler, which is not here"
    assert model.blocks[0].run == before
