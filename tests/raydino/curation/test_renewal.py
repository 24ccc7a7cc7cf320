"""Renewed assignments against brute force in float64, for centroids of which some, all or none have moved."""

import numpy as np
import pytest
import torch

from raydino.curation.nearest import Search, origin_of
from raydino.curation.renewal import Renewal


def brute_force(vectors, centroids):
    """[N]; ``argmin`` takes the lowest on ties."""
    return ((vectors.astype(np.float64)[:, None] - centroids.astype(np.float64)) ** 2).sum(2).argmin(1)


def scattered(rng):
    return rng.standard_normal((600, 24)), rng.standard_normal((80, 24)), 0.3 * rng.standard_normal((80, 24))


def on_a_lattice(rng):
    """Exact ties between centroids that moved and centroids that did not."""
    return rng.integers(0, 3, (600, 5)), rng.integers(0, 3, (80, 5)), rng.integers(-1, 2, (80, 5))


def far_from_origin(rng):
    return tuple(part + offset for part, offset in zip(scattered(rng), (1000, 1000, 0), strict=True))


@pytest.mark.parametrize("n_moved", [0, 1, 20, 70, 80])
@pytest.mark.parametrize("case", [scattered, on_a_lattice, far_from_origin], ids=lambda case: case.__name__)
def test_is_brute_force(case, n_moved):
    rng = np.random.default_rng(n_moved)
    vectors, before, step = (part.astype(np.float32) for part in case(rng))
    step[rng.permutation(80)[n_moved:]] = 0
    after = before + step
    own, expected = brute_force(vectors, before), brute_force(vectors, after)
    tensors = [torch.from_numpy(part) for part in (before, after)]
    found = Renewal(*tensors, origin_of(vectors, torch.device("cpu"))).nearest(
        torch.from_numpy(vectors), torch.from_numpy(own)
    )
    assert np.array_equal(found.numpy(), expected)


def test_of_nothing_known_all_are_compared():
    vectors, _, after = (part.astype(np.float32) for part in scattered(np.random.default_rng(0)))
    renewal = Renewal(None, torch.from_numpy(after), torch.zeros(24))
    found = renewal.nearest(torch.from_numpy(vectors), torch.full((600,), -1))
    assert np.array_equal(found.numpy(), brute_force(vectors, after))


def test_few_vectors_meet_all_centroids(monkeypatch):
    """Only those whose own centroid went away: here one centroid does, and nobody else's."""
    rng = np.random.default_rng(1)
    vectors, before, _ = (part.astype(np.float32) for part in scattered(rng))
    own = brute_force(vectors, before)
    after = before.copy()
    after[own[0]] += 50
    met = {}
    nearest, nearer = Search.nearest, Search.nearer
    monkeypatch.setattr(Search, "nearest", lambda s, x: met.update(all=len(x)) or nearest(s, x))
    monkeypatch.setattr(
        Search, "nearer", lambda s, x, d: met.update(moved=len(x), of=len(s.centroids)) or nearer(s, x, d)
    )
    renewal = Renewal(torch.from_numpy(before), torch.from_numpy(after), torch.zeros(24))
    renewal.nearest(torch.from_numpy(vectors), torch.from_numpy(own))
    n_gone = int((own == own[0]).sum())
    assert met == {"all": n_gone, "moved": 600 - n_gone, "of": 1}
