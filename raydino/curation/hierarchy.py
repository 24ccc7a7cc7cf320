"""Hierarchical k-means with resampling (Vo et al. 2405.15613, §3): k-means on the centroids of k-means.

Level 1 clusters the vectors, level 2 the centroids of level 1, and so on; each centroid counts once however many
vectors it has, so the levels lead away from what is common. Neighbours: resampling (one clustering), parts (a level
that is split), sampling (what a hierarchy is for).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from raydino.curation.kmeans import F32, I64, Vectors
from raydino.curation.parts import clustered_in_parts
from raydino.curation.resampling import LevelRecipe, Task, resampled_kmeans
from raydino.errors import UserError
from raydino.tracking import progress_bar
from raydino.train.distributed import is_main


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


def build(
    vectors: Vectors, levels: Sequence[LevelRecipe], *, seed: int, work: Path | None = None, device: str = "cpu"
) -> Hierarchy:
    """Cluster ``vectors`` [N, D] by ``levels``, the finest first. Equal arguments give equal bytes.

    ``work`` is a directory (of a file system that all ranks share) in which the newest round of each clustering is
    kept: a run that was killed goes on from it to the result that it would have had. Without it nothing is written
    but subsets of over 1 GiB, to nameless files in the system's temporary directory. ``device`` is a torch device.
    Raises UserError where a level has more clusters than there are distinct vectors, or no fewer than the level below.
    """
    counts = cluster_counts(levels, len(vectors))
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
    built: list[Level] = []
    below, squared_distances = vectors, np.empty(0, np.float32)
    with progress_bar(shown=is_main()) as bar:
        for number, (recipe, count) in enumerate(zip(levels, counts, strict=True), start=1):
            if built:
                _require_fewer(number, count, len(below))  # the empty ones are gone
            clustered, total = resampled_kmeans, recipe.n_resamplings + 1
            if recipe.n_parts > 1:
                clustered, total = clustered_in_parts, total * recipe.n_parts + 1
            shown = bar.add_task(f"clusters of level {number}", total=total, note="")
            task = Task(f"level_{number}", (seed, number), work, partial(bar.advance, shown), device)
            try:
                clusters = clustered(below, count, recipe, task)
            except UserError as error:
                raise UserError(error.what, where=f"level {number}", remedy=error.remedy) from None
            built.append(Level(clusters.centroids, clusters.assignment))
            if number == 1:
                squared_distances = clusters.squared_distances
            below = clusters.centroids
    return Hierarchy(tuple(built), squared_distances)


def cluster_counts(levels: Sequence[LevelRecipe], n_vectors: int) -> list[int]:
    """The number of clusters that each level asks for; raises UserError as ``build`` does, before any work."""
    if not levels:
        raise UserError("a hierarchy of no levels", remedy="one level or more")
    counts: list[int] = []
    for number, recipe in enumerate(levels, start=1):
        counts.append(recipe.clusters_of(n_vectors))
        if number > 1:
            _require_fewer(number, counts[-1], counts[-2])
        elif counts[0] > n_vectors:
            raise UserError(
                f"{counts[0]:,} clusters of {n_vectors:,} vectors", where="level 1", remedy="fewer clusters"
            )
    return counts


def _require_fewer(number: int, count: int, below: int) -> None:
    if count >= below:
        raise UserError(
            f"{count:,} clusters of the {below:,} of the level below",
            where=f"level {number}",
            remedy="each level needs fewer than the one below it",
        )
