"""A first level in several parts, for more clusters than one k-means can find.

The parts are the clusters of a small k-means, so each is a region with films alike, and each is clustered by itself.
K comes to the parts in fair shares (fair_shares.py): as many for a rare region as for a common one, as long as it has
the vectors. That is what balance wants, and the work stays N × K / parts however uneven the parts are.
"""

from __future__ import annotations

import hashlib

import numpy as np

from raydino.curation.fair_shares import fair_shares
from raydino.curation.kmeans import I64, Clusters, Vectors
from raydino.curation.resampling import LevelRecipe, Task, gathered, resampled_kmeans
from raydino.errors import UserError


def clustered_in_parts(vectors: Vectors, n_clusters: int, recipe: LevelRecipe, task: Task) -> Clusters:
    """``resampled_kmeans`` of each of ``recipe.n_parts`` regions; a vector's cluster is the nearest of its region.

    Raises UserError where ``n_clusters`` is below the number of parts or exceeds the number of distinct vectors.
    """
    if n_clusters < recipe.n_parts:
        raise UserError(f"{n_clusters:,} clusters in {recipe.n_parts:,} parts", remedy="no more parts than clusters")
    plain = LevelRecipe(n_clusters=recipe.n_parts, n_resamplings=0, n_iterations=recipe.n_iterations)
    parts = resampled_kmeans(vectors, recipe.n_parts, plain, task.within("parts", 0))
    n_parts = len(parts.centroids)
    distinct = _distinct_of_each(vectors, parts.assignment, n_parts)
    if distinct.sum() < n_clusters:
        raise UserError(f"{n_clusters:,} clusters of {distinct.sum():,} distinct vectors", remedy="fewer clusters")
    rng = np.random.default_rng((*task.seed, 1))
    shares = fair_shares(distinct, np.array([n_clusters]), np.zeros(n_parts, np.int64), rng)

    centroids, n_before = [], 0
    assignment = np.empty(len(vectors), np.int64)
    squared_distances = np.empty(len(vectors), np.float32)
    members = np.split(np.argsort(parts.assignment, kind="stable"), np.cumsum(parts.sizes)[:-1])
    for part, rows in enumerate(members):
        own = gathered(vectors, rows, task.work)
        inside = resampled_kmeans(own, int(shares[part]), recipe, task.within(f"part_{part + 1}", 2, part))
        centroids.append(inside.centroids)
        assignment[rows] = n_before + inside.assignment
        squared_distances[rows] = inside.squared_distances
        n_before += len(inside.centroids)
    return Clusters(np.concatenate(centroids), assignment, squared_distances)


def _distinct_of_each(vectors: Vectors, parts: I64, n_parts: int) -> I64:
    """How many distinct vectors each part has [n_parts]: equal ones cannot be centroids of several clusters."""
    digests = np.empty(len(vectors), np.uint64)
    for row, vector in enumerate(vectors):
        digests[row] = int.from_bytes(hashlib.blake2b((vector + 0).tobytes(), digest_size=8).digest())  # -0 is 0
    order = np.lexsort((digests, parts))
    is_new = np.ones(len(order), bool)
    is_new[1:] = (np.diff(parts[order]) != 0) | (np.diff(digests[order]) != 0)
    return np.bincount(parts[order][is_new], minlength=n_parts).astype(np.int64)
