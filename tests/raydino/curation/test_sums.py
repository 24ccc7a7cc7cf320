"""Sums of clusters: right, and the same in any order."""

import numpy as np
import pytest
import torch

from raydino.curation.sums import ExactSums


def filled(vectors, clusters, order, n_clusters=4):
    sums = ExactSums(n_clusters, vectors.shape[1], float(np.abs(vectors).max()) * len(vectors))
    for part in np.array_split(order, 5):
        sums.move(torch.from_numpy(vectors[part]), torch.full((len(part),), -1), torch.from_numpy(clusters[part]))
    sums.gather()
    return sums


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 6e4])
def test_sums_of_float64_in_any_order(scale):
    rng = np.random.default_rng(0)
    vectors = (scale * rng.standard_normal((3000, 7)) * 10.0 ** rng.uniform(-3, 3, (3000, 1))).astype(np.float32)
    clusters = rng.integers(4, size=3000)
    one, other = (filled(vectors, clusters, order) for order in (np.arange(3000), rng.permutation(3000)))
    expected = np.stack([vectors[clusters == c].astype(np.float64).sum(0) for c in range(4)])
    np.testing.assert_allclose(one.values, expected, rtol=0, atol=1e-11 * np.abs(vectors).sum())
    assert one.values.tobytes() == other.values.tobytes()
    assert one.counts.tolist() == np.bincount(clusters).tolist()


def test_what_moved_leaves_no_trace():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((500, 5)).astype(np.float32)
    first, last = rng.integers(4, size=(2, 500))
    sums = filled(vectors, first, np.arange(500))
    sums.move(torch.from_numpy(vectors), torch.from_numpy(first), torch.from_numpy(last))
    sums.gather()
    direct = filled(vectors, last, np.arange(500))
    assert sums.values.tobytes() == direct.values.tobytes()
    assert sums.counts.tolist() == direct.counts.tolist()


def test_nothing_but_zeros():
    sums = filled(np.zeros((6, 2), np.float32), np.asarray([0, 0, 1, 1, 3, 3]), np.arange(6))
    assert not sums.values.any()
    assert sums.counts.tolist() == [2, 2, 0, 2]
