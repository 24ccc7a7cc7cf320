"""KoLeo against a loop over neighbours, and where it is undefined."""

import math

import pytest
import torch

from raydino.ssl.losses.koleo import koleo_in_groups, koleo_loss


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


def test_groups_are_taken_crop_by_crop():
    x = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = sum(koleo_loss(crop[start : start + 2]) for crop in x for start in (0, 2, 4)) / 3
    torch.testing.assert_close(koleo_in_groups(x, 2), expected)
    torch.testing.assert_close(koleo_in_groups(x, None), koleo_loss(x[0]) + koleo_loss(x[1]))


def test_autocast_does_not_round_the_neighbours():
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = koleo_loss(x)
    assert torch.equal(inside, koleo_loss(x))
