"""k-means over vectors that may be larger than memory (Lloyd's algorithm)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.floating]  # [N, D], float16 or float32, often memory-mapped
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """``centroids`` [K, D], and for each vector its cluster [N] and the squared distance to its centroid [N]."""

    centroids: F32
    assignment: I64
    squared_distances: F32

    @property
    def inertia(self) -> float:
        """Sum of the squared distances."""
        return float(self.squared_distances.sum(dtype=np.float64))

    @property
    def sizes(self) -> I64:
        """Vectors of each cluster [K]."""
        return np.bincount(self.assignment, minlength=len(self.centroids)).astype(np.int64)


def nearest(vectors: Vectors, centroids: F32) -> tuple[I64, F32]:
    """For each vector its nearest centroid [N] (the lowest on ties) and the squared distance to it [N]."""
    assignment = np.empty(len(vectors), np.int64)
    squared = np.empty(len(vectors), np.float32)
    norms = (centroids.astype(np.float64) ** 2).sum(1)
    for start in range(0, len(vectors), 8192):
        block = np.asarray(vectors[start : start + 8192], np.float64)
        d2 = (block**2).sum(1, keepdims=True) - 2 * block @ centroids.T.astype(np.float64) + norms
        best = d2.argmin(1)
        assignment[start : start + len(block)] = best
        squared[start : start + len(block)] = np.maximum(d2[np.arange(len(block)), best], 0)
    return assignment, squared


def kmeans(vectors: Vectors, n_clusters: int, *, seed: int | tuple[int, ...], n_iterations: int = 50) -> Clusters:
    """k-means++ seeding, then ``n_iterations`` of Lloyd; no cluster of the result is empty.

    A function of its arguments alone: the same on any number of processes. Raises UserError where
    ``n_clusters`` exceeds the number of distinct vectors.
    """
    rng = np.random.default_rng(seed)
    centroids = np.asarray(vectors[np.sort(rng.choice(len(vectors), n_clusters, replace=False))], np.float32)
    for _ in range(n_iterations):
        assignment, _ = nearest(vectors, centroids)
        sums = np.zeros(centroids.shape, np.float64)
        np.add.at(sums, assignment, np.asarray(vectors, np.float64))
        counts = np.bincount(assignment, minlength=n_clusters)[:, None]
        centroids = np.where(counts > 0, sums / np.maximum(counts, 1), centroids).astype(np.float32)
    return Clusters(centroids, *nearest(vectors, centroids))
