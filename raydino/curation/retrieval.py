"""Vectors of a pool that are like those of curated query sets (DINOv2 §A): whole regions of the pool, or single films.

Sample-based: for each query its k nearest vectors, for large query sets. Cluster-based: from each cluster that holds
more than a few queries a number of vectors, for small ones. Both return rows of the pool, sorted, none twice.
"""

from __future__ import annotations

import numpy as np

from raydino.curation.kmeans import F32, I64, Vectors, nearest
from raydino.curation.neighbours import nearest_neighbours
from raydino.errors import UserError


def retrieve_by_sample(pool: Vectors, queries: Vectors, *, k: int, at_most: int | None = None, seed: int = 0) -> I64:
    """The ``k`` nearest vectors of each query by cosine; with a cap, those that are most alike to any query.

    Raises UserError where the pool holds fewer than ``k`` vectors.
    """
    _require_positive(k=k, at_most=at_most)
    found = nearest_neighbours(queries, pool, k=k, seed=seed)
    known = found.rows >= 0
    best = np.full(len(pool), -np.inf, np.float32)
    np.maximum.at(best, found.rows[known], found.similarities[known])
    rows = np.flatnonzero(np.isfinite(best))
    if at_most is not None and len(rows) > at_most:
        rows = rows[np.argsort(-best[rows], kind="stable")[:at_most]]
    return np.sort(rows)


def retrieve_by_cluster(
    assignment: I64,
    centroids: F32,
    queries: Vectors,
    *,
    more_than: int,
    of_each: int,
    at_most: int | None = None,
    seed: int,
) -> I64:
    """Up to ``of_each`` random vectors of each cluster that is nearest to more than ``more_than`` queries.

    ``assignment`` [N] is the pool's, in clusters of ``centroids`` [K, D]; queries are of the same scale, normalised
    where the pool was. A cap draws from what was found, so that each cluster keeps its share.
    """
    _require_positive(of_each=of_each, at_most=at_most)
    if queries.ndim != 2 or queries.shape[1] != centroids.shape[1]:
        raise UserError(
            f"queries of shape {queries.shape} for centroids of {centroids.shape[1]} values",
            remedy="features of one encoder",
        )
    rng = np.random.default_rng(seed)
    n_queries = np.bincount(nearest(queries, centroids)[0], minlength=len(centroids))
    by_cluster = np.argsort(assignment, kind="stable")
    ends = np.cumsum(np.bincount(assignment, minlength=len(centroids)))
    parts = [np.empty(0, np.int64)]
    for cluster in np.flatnonzero(n_queries > more_than).tolist():
        members = by_cluster[ends[cluster - 1] if cluster else 0 : ends[cluster]]
        parts.append(rng.choice(members, min(of_each, len(members)), replace=False))
    rows = np.concatenate(parts)
    if at_most is not None and len(rows) > at_most:
        rows = rng.choice(rows, at_most, replace=False)
    return np.sort(rows)


def _require_positive(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise UserError(f"{name} is {number}", remedy="at least 1")
