"""A level in parts: regions apart, K in fair shares, and as few clusters as a region has distinct vectors."""

from __future__ import annotations

import numpy as np
import pytest

from raydino.curation.parts import clustered_in_parts
from raydino.curation.resampling import LevelRecipe, Task
from raydino.errors import UserError


def task() -> Task:
    return Task("level_1", (0,), None, lambda rounds: None)


def three_regions(*sizes: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in regions far apart, and the region of each, in random order."""
    rng = np.random.default_rng(0)
    region = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = np.array([[0, 0], [100, 0], [0, 100]])
    return (centres[region] + rng.normal(size=(len(region), 2))).astype(np.float32), region


def recipe(n_clusters: int, n_parts: int = 3) -> LevelRecipe:
    return LevelRecipe(n_clusters=n_clusters, n_parts=n_parts, n_resamplings=1, n_iterations=10)


def test_each_region_gets_a_fair_share_of_the_clusters() -> None:
    vectors, region = three_regions(1000, 100, 6)
    clusters = clustered_in_parts(vectors, 46, recipe(46), task())
    of_region = [len(set(clusters.assignment[region == r].tolist())) for r in range(3)]
    assert sum(of_region) == len(clusters.centroids) == 46
    assert of_region == [20, 20, 6]
    distances = ((vectors[:, None].astype(np.float64) - clusters.centroids[None]) ** 2).sum(-1)
    assert (clusters.assignment == distances.argmin(1)).mean() > 0.999  # regions far apart: nearest of all
    np.testing.assert_allclose(clusters.squared_distances, distances.min(1), atol=2e-2)


def test_equal_vectors_count_once() -> None:
    vectors, region = three_regions(300, 200, 50)
    vectors[region == 2] = [0.0, 100.0]
    vectors[np.flatnonzero(region == 2)[::2], 0] = -0.0  # equal to 0
    clusters = clustered_in_parts(vectors, 21, recipe(21), task())
    assert [len(set(clusters.assignment[region == r].tolist())) for r in range(3)] == [10, 10, 1]


def test_more_clusters_than_distinct_vectors_are_refused() -> None:
    vectors = np.repeat(three_regions(4, 4, 4)[0], 10, axis=0)
    with pytest.raises(UserError, match="13 clusters of 12 distinct vectors"):
        clustered_in_parts(vectors, 13, recipe(13), task())
