"""Nearest centroids against brute force in float64, in bf16 and fp32 products."""

import numpy as np
import pytest
import torch

from raydino.curation import blocks, kernels, products, tiles
from raydino.curation.blocks import Block, origin_of
from raydino.curation.nearest import Search, nearest
from raydino.errors import UserError

CPU = torch.device("cpu")


def brute_force(vectors, centroids):
    """[N], [N]: differences in float64, one centroid at a time; ``argmin`` takes the lowest on ties."""
    squared = np.stack([((vectors.astype(np.float64) - c) ** 2).sum(1) for c in centroids.astype(np.float64)], 1)
    return squared.argmin(1), squared.min(1)


def near_ties(rng):
    """Centroids in close pairs, and vectors halfway between them: bf16 alone would guess."""
    centroids = np.repeat(rng.standard_normal((40, 48)), 2, axis=0) + 1e-3 * rng.standard_normal((80, 48))
    weight = rng.uniform(0.4, 0.6, (500, 1))
    pairs = rng.integers(40, size=500)
    vectors = weight * centroids[2 * pairs] + (1 - weight) * centroids[2 * pairs + 1]
    return vectors + 0.1 * rng.standard_normal((500, 48)), centroids


def far_from_origin(rng):
    return 1000 + rng.standard_normal((500, 32)), 1000 + rng.standard_normal((300, 32))


def on_a_lattice(rng):
    """Many exact ties, and centroids that are equal."""
    return rng.integers(0, 3, (700, 6)), rng.integers(0, 3, (150, 6))


def one_far_centroid(rng):
    centroids = rng.standard_normal((90, 24))
    centroids[17] *= 1e4
    return rng.standard_normal((400, 24)), centroids


def many(rng):
    """More centroids than are looked through together, their number no multiple of anything."""
    return rng.standard_normal((300, 16)), rng.standard_normal((2311, 16))


def nothing_but_zeros(rng):
    return np.zeros((5, 3)), np.zeros((4, 3))


CASES = (near_ties, far_from_origin, on_a_lattice, one_far_centroid, many, nothing_but_zeros)


@pytest.fixture(params=["tiles", "bf16", "fp32"])
def _precision(request, monkeypatch):
    if request.param == "tiles" and not kernels.on_matrix_unit(CPU):
        pytest.skip("this CPU has no matrix unit (AMX)")
    monkeypatch.setattr(kernels, "has_bf16", lambda _: request.param != "fp32")
    monkeypatch.setattr(kernels.amx, "available", lambda: request.param == "tiles")


@pytest.fixture(params=[True, False], ids=["compiled", "torch"])
def _loops(request, monkeypatch):
    """On a GPU PyTorch's operations do what on a CPU compiled loops do."""
    monkeypatch.setattr(kernels, "_on_cpu", lambda _: request.param)


@pytest.mark.usefixtures("_precision", "_loops")
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_is_brute_force(case, dtype):
    vectors, centroids = case(np.random.default_rng(3))
    vectors, centroids = vectors.astype(dtype), centroids.astype(np.float32)
    index, squared = nearest(vectors, centroids)
    expected_index, expected_squared = brute_force(vectors, centroids)
    assert np.array_equal(index, expected_index)
    np.testing.assert_allclose(squared, expected_squared, rtol=1e-5, atol=1e-30)
    assert (index.dtype, squared.dtype) == (np.int64, np.float32)


def test_a_candidate_is_never_missed_for_any_origin():
    rng = np.random.default_rng(0)
    vectors, centroids = near_ties(rng)
    vectors, centroids = vectors.astype(np.float32), centroids.astype(np.float32)
    expected, _ = brute_force(vectors, centroids)
    for shift in (0.0, 3.0, 300.0):
        origin = torch.full((48,), shift)
        found = Search(torch.from_numpy(centroids), origin).nearest(Block.of(torch.from_numpy(vectors), origin))
        assert np.array_equal(found.centroid.numpy(), expected)


@pytest.mark.usefixtures("_precision", "_loops")
def test_nearer_names_every_row_that_has_come_nearer():
    rng = np.random.default_rng(1)
    vectors, centroids = rng.standard_normal((2, 400, 24)).astype(np.float32)
    before = rng.uniform(0, 40, 400).astype(np.float32)
    origin = origin_of(vectors, CPU)
    search = Search(torch.from_numpy(centroids[:100]), origin)
    rows, found, squared = (
        t.numpy() for t in search.nearer(Block.of(torch.from_numpy(vectors), origin), torch.from_numpy(before))
    )
    expected, least = brute_force(vectors, centroids[:100])
    assert np.array_equal(rows, np.flatnonzero(least < before))
    assert np.array_equal(found, expected[rows])
    np.testing.assert_allclose(squared, least[rows], rtol=1e-5)


@pytest.mark.usefixtures("_precision")
def test_a_memory_mapped_file_and_any_block_give_the_same(tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    vectors, centroids = rng.standard_normal((1000, 20)).astype(np.float16), rng.standard_normal((90, 20))
    np.save(tmp_path / "vectors.npy", vectors)
    whole = nearest(vectors, centroids.astype(np.float32))
    monkeypatch.setattr(blocks, "_BLOCK", 30 * 20)
    monkeypatch.setattr(products, "_PRODUCT_ROWS", (7, 13))
    monkeypatch.setattr(tiles, "_PANEL_NUMBERS", 1)
    mapped = nearest(np.load(tmp_path / "vectors.npy", mmap_mode="r"), centroids.astype(np.float32))
    assert all(np.array_equal(a, b) for a, b in zip(whole, mapped, strict=True))


@pytest.mark.filterwarnings("error")
def test_no_vectors_and_arrays_that_cannot_be_written_to():
    centroids = np.eye(4, dtype=np.float32)
    centroids.flags.writeable = False
    assert [len(found) for found in nearest(centroids[:0], centroids)] == [0, 0]
    assert nearest(centroids, centroids)[0].tolist() == [0, 1, 2, 3]


def test_dimensions_must_agree():
    with pytest.raises(UserError, match=r"vectors of shape \(4, 3\) for centroids of shape \(2, 5\)"):
        nearest(np.zeros((4, 3), np.float32), np.zeros((2, 5), np.float32))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e30])
def test_what_cannot_be_compared(wrong):
    vectors, centroids = np.random.default_rng(0).standard_normal((2, 50, 8)).astype(np.float32)
    vectors[13, 2] = wrong
    with pytest.raises(UserError, match="NaN, infinity or a huge value"):
        nearest(vectors, centroids)
