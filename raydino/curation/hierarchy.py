"""Hierarchical k-means with resampling (Vo et al. 2405.15613, §3): k-means on the centroids of k-means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raydino.curation.kmeans import F32, I64


@dataclass(frozen=True)
class Level:
    """``centroids`` [K, D]; ``parents`` says in which of them each vector (level 1) or each centroid of the level
    below lies: [N] at level 1, [K of the level below] above. Every cluster has a member."""

    centroids: F32
    parents: I64


@dataclass(frozen=True)
class Hierarchy:
    """Levels from the finest (1) to the coarsest."""

    levels: tuple[Level, ...]
    squared_distances: F32  # [N], to the centroid of level 1

    def paths(self) -> I64:
        """[N, levels]: the cluster of each vector at each level."""
        columns = [self.levels[0].parents]
        for level in self.levels[1:]:
            columns.append(level.parents[columns[-1]])
        return np.stack(columns, axis=1)
