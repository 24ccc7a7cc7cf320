"""Renewed assignments against brute force in float64, for centroids of which some, all or none have moved."""

import numpy as np
import pytest
import torch

from raydino.curation import kernels
from raydino.curation.blocks import Block, origin_of
from raydino.curation.nearest import Found, Search
from raydino.curation.renewal import Renewal


def squared_distances(vectors, centroids):
    """[N, K] in float64; ``argmin`` takes the lowest on ties."""
    return ((vectors.astype(np.float64)[:, None] - centroids.astype(np.float64)) ** 2).sum(2)


def scattered(rng):
    return rng.standard_normal((600, 24)), rng.standard_normal((80, 24)), 0.3 * rng.standard_normal((80, 24))


def on_a_lattice(rng):
    """Exact ties between centroids that moved and centroids that did not."""
    return rng.integers(0, 3, (600, 5)), rng.integers(0, 3, (80, 5)), rng.integers(-1, 2, (80, 5))


def far_from_origin(rng):
    return tuple(part + offset for part, offset in zip(scattered(rng), (1000, 1000, 0), strict=True))


def settled(renewal, block, known):
    """All of a block, as ``_Lloyd.assign`` does it."""
    found, left = renewal.settle(block, known)
    late = renewal.nearest(block.at(left), known.centroid[left])
    return Found(*(whole.index_copy(0, left, part) for whole, part in zip(found, late, strict=True)))


def nothing_known(n):
    return Found(torch.full((n,), -1), torch.zeros(n), torch.zeros(n))


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize("n_moved", [0, 1, 20, 70, 80])
@pytest.mark.parametrize("case", [scattered, on_a_lattice, far_from_origin], ids=lambda case: case.__name__)
def test_is_brute_force_move_after_move(case, n_moved, bf16, monkeypatch):
    monkeypatch.setattr(kernels, "has_bf16", lambda _: bf16)
    rng = np.random.default_rng(n_moved)
    vectors, centroids, step = (part.astype(np.float32) for part in case(rng))
    origin = origin_of(vectors, torch.device("cpu"))
    block = Block.of(torch.from_numpy(vectors), origin)
    known = Search(torch.from_numpy(centroids), origin).nearest(block)
    for _ in range(4):
        before, centroids = centroids, centroids.copy()
        centroids[rng.permutation(80)[:n_moved]] += step[:n_moved]
        known = settled(Renewal(torch.from_numpy(before), torch.from_numpy(centroids), origin), block, known)
        squared = squared_distances(vectors, centroids)
        assert np.array_equal(known.centroid.numpy(), squared.argmin(1))
        np.testing.assert_allclose(known.squared.numpy(), squared.min(1), rtol=1e-5)
        np.put_along_axis(squared, known.centroid.numpy()[:, None], np.inf, axis=1)
        assert (known.beyond.numpy() <= squared.min(1) * (1 + 1e-6)).all()


def test_what_lies_beyond_is_told_closely():
    """Else every vector would meet all centroids again."""
    vectors, centroids, _ = (part.astype(np.float32) for part in scattered(np.random.default_rng(5)))
    origin = origin_of(vectors, torch.device("cpu"))
    found = Search(torch.from_numpy(centroids), origin).nearest(Block.of(torch.from_numpy(vectors), origin))
    near, second = np.sort(squared_distances(vectors, centroids), axis=1)[:, :2].T
    told = found.beyond.numpy() > 0  # not where the first guess was wrong
    assert told.mean() > 0.9
    assert (found.beyond.numpy()[told] >= np.minimum(second, near * (1 + 2 / 32))[told] - 0.02 * near[told]).all()


def test_of_nothing_known_all_are_compared():
    vectors, _, after = (part.astype(np.float32) for part in scattered(np.random.default_rng(0)))
    block = Block.of(torch.from_numpy(vectors), torch.zeros(24))
    found = settled(Renewal(None, torch.from_numpy(after), torch.zeros(24)), block, nothing_known(600))
    assert np.array_equal(found.centroid.numpy(), squared_distances(vectors, after).argmin(1))


def test_few_vectors_meet_all_centroids():
    """Only those whose own centroid went away: here one centroid does, and nobody else's."""
    rng = np.random.default_rng(1)
    vectors, before, _ = (part.astype(np.float32) for part in scattered(rng))
    block = Block.of(torch.from_numpy(vectors), torch.zeros(24))
    known = Search(torch.from_numpy(before), torch.zeros(24)).nearest(block)
    after = before.copy()
    after[int(known.centroid[0])] += 50
    _, left = Renewal(torch.from_numpy(before), torch.from_numpy(after), torch.zeros(24)).settle(block, known)
    assert left.tolist() == (known.centroid == known.centroid[0]).nonzero()[:, 0].tolist()
