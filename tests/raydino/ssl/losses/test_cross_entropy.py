"""The cross-entropy that goes row by row equals the formula, forwards and backwards."""

import pytest
import torch

from raydino.ssl.losses import cross_entropy as module
from raydino.ssl.losses.cross_entropy import cross_entropy


def inputs(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = torch.rand(3, 7, generator=generator, dtype=torch.float64)  # rows that do not sum to 1
    scores = torch.randn(4, 3, 7, generator=generator, dtype=torch.float64)
    return targets.to(dtype if dtype == torch.float64 else torch.float32), scores.to(dtype).requires_grad_()


def formula(targets: torch.Tensor, scores: torch.Tensor, temperature: float) -> torch.Tensor:
    return -(targets * (scores / temperature).log_softmax(-1)).sum(-1)


def gradient(loss: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    weights = torch.linspace(-1, 2, loss.numel(), dtype=loss.dtype).view_as(loss)
    return torch.autograd.grad((loss * weights).sum(), scores)[0]


@pytest.mark.parametrize("values_at_once", [1, 14, 30, 10**6])
@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_equals_the_formula_however_rows_are_cut(values_at_once, temperature, monkeypatch):
    monkeypatch.setitem(module._VALUES_AT_ONCE, "cpu", values_at_once)
    targets, scores = inputs()
    before = scores.detach().clone()
    expected = formula(targets, scores, temperature)
    got = cross_entropy(targets, scores, student_temperature=temperature)
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(gradient(got, scores), gradient(expected, scores), atol=1e-12, rtol=0)
    assert torch.equal(scores, before)


def test_half_precision_scores_are_widened_first():
    targets, scores = inputs(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = cross_entropy(targets, scores)
    assert got.dtype == torch.float32
    wide = scores.detach().double().requires_grad_()
    expected = formula(targets.double(), wide, 0.1)
    torch.testing.assert_close(got.double(), expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(gradient(got, scores).double(), gradient(expected, wide), atol=1e-4, rtol=1e-2)


def test_float32_scores_stay_as_they_are():
    targets, scores = inputs(torch.float32)
    before = scores.detach().clone()
    cross_entropy(targets, scores).sum().backward()
    assert torch.equal(scores, before)


def test_no_rows():
    scores = torch.zeros(0, 5, requires_grad=True)
    loss = cross_entropy(torch.zeros(0, 5), scores)
    assert loss.shape == (0,)
    loss.sum().backward()
    assert scores.grad.shape == (0, 5)
