"""Positions resized equal bicubic interpolation written out in float64, for each of the three ways."""

import math

import pytest
import torch

from raydino.nn.positions import resize_positions

SIDE = 6


def cubic(distance: float, a: float) -> float:
    x = abs(distance)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def plain_matrix(wanted: int, scale: float) -> torch.Tensor:
    """[wanted, SIDE]: four neighbours, those beyond the edge count for the edge. ``scale``: wanted to had."""
    matrix = torch.zeros(wanted, SIDE, dtype=torch.float64)
    for row in range(wanted):
        centre = (row + 0.5) / scale - 0.5
        first = math.floor(centre) - 1
        for tap in range(first, first + 4):
            matrix[row, min(max(tap, 0), SIDE - 1)] += cubic(centre - tap, -0.75)
    return matrix


def antialiased_matrix(wanted: int, scale: float) -> torch.Tensor:
    """[wanted, SIDE]: the kernel stretched where the grid shrinks, cut off at the edge and normalised."""
    stretch = max(1 / scale, 1.0)
    matrix = torch.zeros(wanted, SIDE, dtype=torch.float64)
    for row in range(wanted):
        centre = (row + 0.5) / scale
        low, high = (math.floor(centre + sign * 2 * stretch + 0.5) for sign in (-1, 1))
        for tap in range(max(low, 0), min(high, SIDE)):
            matrix[row, tap] = cubic((tap - centre + 0.5) / stretch, -0.5)
    return matrix / matrix.sum(1, keepdim=True)


WAYS = {
    "offset": lambda wanted: plain_matrix(wanted, (wanted + 0.1) / SIDE),
    "size": lambda wanted: plain_matrix(wanted, wanted / SIDE),
    "antialias": lambda wanted: antialiased_matrix(wanted, wanted / SIDE),
}


@pytest.mark.parametrize("grid", [(3, 4), (9, 5), (13, 13), (6, 7)])
@pytest.mark.parametrize("how", WAYS)
def test_equals_bicubic_interpolation(how, grid):
    positions = torch.randn(1, 1 + SIDE**2, 5, generator=torch.Generator().manual_seed(0))
    square = positions[0, 1:].double().view(SIDE, SIDE, 5)
    rows, columns = (WAYS[how](wanted) for wanted in grid)
    expected = torch.einsum("rh,cw,hwd->rcd", rows, columns, square).reshape(-1, 5)
    resized = resize_positions(positions, grid, how)
    assert torch.equal(resized[:, 0], positions[:, 0])
    torch.testing.assert_close(resized[0, 1:].double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", WAYS)
def test_nothing_happens_at_their_own_size(how):
    positions = torch.randn(1, 1 + SIDE**2, 5, generator=torch.Generator().manual_seed(0))
    assert resize_positions(positions, (SIDE, SIDE), how) is positions


def test_offset_gives_the_wanted_grid_at_every_size():
    positions = torch.randn(1, 1 + SIDE**2, 1, generator=torch.Generator().manual_seed(0))
    for wanted in range(1, 80):
        assert resize_positions(positions, (wanted, 3), "offset").shape[1] == 1 + 3 * wanted
