"""k-means with resampling (Vo et al. 2405.15613, §3): centroids spread over what there is, not over what is common.

k-means puts many centroids where vectors lie densely. Clustering again a subset with equally many vectors of each
cluster flattens the density that the next centroids follow.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt, field_validator

from raydino.config import Config
from raydino.curation.fair_shares import first_of_each, order_key
from raydino.curation.kmeans import F32, I64, Clusters, Vectors, kmeans, nearest
from raydino.curation.newest import Newest

_BLOCK_ROWS = 8192
_IN_MEMORY_BYTES = 1 << 30  # larger subsets lie in a file


class LevelRecipe(Config):
    """How one level of a hierarchy is clustered."""

    n_clusters: int | float  # below 1: a share of the vectors at the bottom; 0.05 is one cluster for 20 of them
    n_resamplings: NonNegativeInt = 10
    sample_size: PositiveInt | None = None  # vectors of each cluster; null: half of the mean cluster's
    sample: Literal["closest", "random"] = "closest"
    n_iterations: PositiveInt = 50
    n_parts: PositiveInt = 1  # that are clustered apart, where one k-means would be too large (parts.py)

    @field_validator("n_clusters")
    @classmethod
    def _is_count_or_share(cls, value: int | float) -> int | float:
        if not (0 < value < 1 or (value >= 1 and value % 1 == 0)):
            raise ValueError("neither a number of clusters nor, between 0 and 1, a share of the vectors")
        return value

    def clusters_of(self, n_vectors: int) -> int:
        """K of this level in a hierarchy of ``n_vectors``."""
        return max(1, round(self.n_clusters * n_vectors)) if self.n_clusters < 1 else int(self.n_clusters)


@dataclass(frozen=True)
class Task:
    """What one clustering is called, the seed of its random numbers, where it may write and is computed, and who counts
    its rounds."""

    name: str
    seed: tuple[int, ...]
    work: Path | None
    advance: Callable[[int], object]  # by a number of rounds
    device: str = "cpu"

    def within(self, name: str, *seed: int) -> Task:
        """A task of this one."""
        return replace(self, name=f"{self.name}_{name}", seed=(*self.seed, *seed))


def resampled_kmeans(vectors: Vectors, n_clusters: int, recipe: LevelRecipe, task: Task) -> Clusters:
    """k-means, then ``recipe.n_resamplings`` times: a subset with equally many vectors of each cluster, k-means of
    it from new seeds, and every vector to its nearest centroid. No cluster of the result is empty.

    A subset of one vector a cluster leaves nothing to cluster, so then no resampling is made. Raises UserError as
    ``kmeans`` does.
    """
    sample_size = recipe.sample_size or max(1, len(vectors) // (2 * n_clusters))
    n_rounds = recipe.n_resamplings if sample_size > 1 else 0
    facts = (n_clusters, n_rounds, sample_size, recipe.sample, recipe.n_iterations, task.seed)

    def clustered(some: Vectors, count: int, number: int) -> F32:
        seed, n_iterations = (*task.seed, number), recipe.n_iterations
        return kmeans(some, count, seed=seed, n_iterations=n_iterations, device=task.device).centroids

    newest = Newest.of(task.work, task.name, vectors, facts)
    held = newest.load()
    if held is None:
        held = 0, clustered(vectors, n_clusters, 0)
        newest.save(*held)
    number, centroids = held
    clusters = _occupied(vectors, centroids, task.device)
    task.advance(1 + number + recipe.n_resamplings - n_rounds)
    while number < n_rounds:
        number += 1
        key = order_key(recipe.sample, clusters.squared_distances, np.random.default_rng((*task.seed, number, 1)))
        rows = first_of_each(clusters.assignment, np.full(len(clusters.centroids), sample_size), key)
        subset = gathered(vectors, rows, task.work)
        centroids = clustered(subset, len(clusters.centroids), number)
        newest.save(number, centroids)
        clusters = _occupied(vectors, centroids, task.device)
        task.advance(1)
    return clusters


def gathered(vectors: Vectors, rows: I64, scratch: Path | None) -> Vectors:
    """``vectors[rows]``; where that is large, in a nameless file under ``scratch`` that ends with the array."""
    shape = (len(rows), vectors.shape[1])
    subset: Vectors
    if len(rows) * vectors.shape[1] * vectors.itemsize <= _IN_MEMORY_BYTES:
        subset = np.empty(shape, vectors.dtype)
    else:
        with tempfile.TemporaryFile(dir=scratch) as file:
            subset = np.memmap(file, vectors.dtype, "w+", shape=shape)
    for start in range(0, len(rows), _BLOCK_ROWS):
        subset[start : start + _BLOCK_ROWS] = vectors[rows[start : start + _BLOCK_ROWS]]
    return subset


def _occupied(vectors: Vectors, centroids: F32, device: str) -> Clusters:
    """Each vector at its nearest centroid, without the centroids that get none."""
    assignment, squared_distances = nearest(vectors, centroids, device=device)
    kept, assignment = np.unique(assignment, return_inverse=True)
    return Clusters(centroids[kept], assignment.astype(np.int64), squared_distances)
