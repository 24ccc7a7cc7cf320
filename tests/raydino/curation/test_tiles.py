"""Scores on the matrix unit against products of PyTorch in float32, of the same numbers in bf16."""

import numpy as np
import pytest
import torch

from raydino.curation import amx, tiles
from raydino.curation.tiles import Tiles

pytestmark = pytest.mark.skipif(not amx.available(), reason="this CPU has no matrix unit (AMX)")

SHAPES = [(1, 1, 1), (31, 33, 31), (700, 100, 70), (64, 32, 96), (40, 384, 1000)]  # vectors, dimensions, centroids


def case(n, dim, k, seed=0):
    """Vectors, centroids, an origin; and scores [n, k] in float64."""
    generator = torch.Generator().manual_seed(seed)
    vectors, centroids, origin = (torch.randn(rows, dim, generator=generator) for rows in (n, k, 1))
    origin = origin[0]
    half_square = (centroids - origin).square().sum(1) / 2
    left, right = ((part - origin).bfloat16().double() for part in (vectors, centroids))
    return vectors, Tiles(centroids, origin, half_square), left @ right.T - half_square.double()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_best_is_the_highest(shape):
    vectors, scores, expected = case(*shape)
    best = scores.best(vectors, torch.zeros(len(vectors)))
    np.testing.assert_allclose(expected.gather(1, best[:, None])[:, 0], expected.amax(1), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("panel_numbers", [1, 2**17])
@pytest.mark.parametrize("shape", SHAPES)
def test_contenders_are_those_near_the_highest_and_above_the_level(shape, panel_numbers, monkeypatch):
    monkeypatch.setattr(tiles, "_PANEL_NUMBERS", panel_numbers)
    vectors, scores, expected = case(*shape)
    level, margin = expected.quantile(0.7, dim=1).float() + 1e-3, torch.full((len(vectors),), 4.0)
    slack = torch.linspace(0, 3, len(vectors))
    own = expected.argmax(1)
    own[::2] = -1
    rows, columns, above = scores.contenders(vectors, level, slack, margin, own)
    others = expected.clone()
    others[own >= 0, own[own >= 0]] = -torch.inf
    top = others.amax(1)
    limit = torch.maximum(level + slack, top - margin)
    assert torch.stack((rows, columns), 1).tolist() == (others >= limit[:, None]).nonzero().tolist()
    np.testing.assert_allclose(above, (top - level).clamp(min=0), atol=1e-3)


def test_more_contenders_than_there_was_room_for():
    vectors, scores, _ = case(50, 40, 300)
    everything = torch.full((50,), 1e6)
    rows, columns, _ = scores.contenders(vectors, -everything, torch.zeros(50), everything, None)
    assert rows.tolist() == np.repeat(np.arange(50), 300).tolist()
    assert columns.tolist() == np.tile(np.arange(300), 50).tolist()


def test_no_vectors():
    vectors, scores, _ = case(3, 40, 30)
    nothing = torch.zeros(0)
    assert [len(found) for found in scores.contenders(vectors[:0], nothing, nothing, nothing, None)] == [0, 0, 0]


@pytest.mark.parametrize(("name", "value"), [("DISABLE_JIT", 1), ("ENABLE_AVX", 0), ("CPU_NAME", "generic")])
def test_not_where_numba_compiles_for_less_than_the_machine_has(name, value, monkeypatch):
    """LLVM would end the process at an instruction that it was told not to use."""
    monkeypatch.setattr(amx.config, name, value)
    assert not amx.available.__wrapped__()
