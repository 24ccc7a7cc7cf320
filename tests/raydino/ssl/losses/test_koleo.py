"""KoLeo against a loop over neighbours, and where it is undefined."""

import math

import pytest
import torch

from raydino.ssl.losses.koleo import koleo_loss


def test_equals_a_loop():
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    unit = [row / row.norm() for row in x]
    expected = 0.0
    for i, one in enumerate(unit):
        nearest = min(float((one - other).norm()) for j, other in enumerate(unit) if j != i)
        expected -= math.log(nearest) / 6
    assert float(koleo_loss(x)) == pytest.approx(expected, abs=1e-7)


def test_duplicates_do_not_give_infinity():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    loss = koleo_loss(x)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(-math.log(math.sqrt(2)), abs=1e-6)  # the third film alone counts
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("n", [1, 4])
def test_no_two_different_vectors(n):
    x = torch.ones(n, 3, requires_grad=True)
    loss = koleo_loss(x)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.isfinite(x.grad).all()
