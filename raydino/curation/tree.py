"""The clusters of a selection as a tree that a person can look through: sizes before and after, most central films.

A pool may have 10,000s of clusters, so the tree holds a bounded number: of the top level the largest, those that lost
most and the rarest that were kept; below, the largest. Neighbours: ``report`` shows it, ``pictures`` draws the films.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from raydino.curation.composition import F64, I64, Evenness
from raydino.curation.hierarchy import Hierarchy

TOP_CLUSTERS = 24  # shown of the top level
MARKED_CLUSTERS = 6  # that lost most, and as many of the rarest that were kept
SUB_CLUSTERS = 6  # shown below each
DEPTH = 3  # levels shown, from the top
CENTRAL_FILMS = (8, 4, 4)  # shown of a cluster, by depth


@dataclass(frozen=True)
class Sizes:
    """Films of each of the K clusters of one level: ``before`` [K], ``after`` [K] that are selected, and the share
    of what is drawn, ``drawn`` [K], which sums to 1. Films without a cluster do not count."""

    level: int
    before: I64
    after: I64
    drawn: F64

    @property
    def even_before(self) -> Evenness:
        return Evenness.of(self.before)

    @property
    def even_after(self) -> Evenness:
        return Evenness.of(self.drawn)

    @property
    def n_gone(self) -> int:
        """Clusters of which no film is selected."""
        return int((self.after == 0).sum())

    @property
    def change(self) -> F64:
        """[K]: what the cluster won (or lost, below 0) of the whole, in shares."""
        return self.drawn - self.before / self.before.sum()


@dataclass(frozen=True)
class Cluster:
    """One cluster of the tree. ``central`` are positions in the selection, the most central film first; ``children``
    the largest of its ``n_children`` clusters of the level below."""

    level: int
    index: int
    before: int
    after: int
    share_before: float
    share_after: float
    central: tuple[int, ...]
    n_children: int
    children: tuple[Cluster, ...]


@dataclass(frozen=True)
class Tree:
    """Clusters of the top level that are shown, the largest first, and which of them lost most or are rare."""

    n_top: int
    shown: tuple[Cluster, ...]
    lost_most: tuple[int, ...]  # indices of clusters, most lost first
    rarest_kept: tuple[int, ...]  # rarest first


def paths_of(selection: pd.DataFrame) -> tuple[I64, I64]:
    """The positions [M] of films that were clustered, and their cluster at each level [M, levels], finest first."""
    names = [name for name in selection.columns if name.startswith("cluster_l")]
    names.sort(key=lambda name: int(name.removeprefix("cluster_l")))
    columns = selection[names]
    films = np.flatnonzero(columns.notna().all(axis=1).to_numpy()) if names else np.empty(0, np.int64)
    return films, columns.iloc[films].to_numpy(np.int64).reshape(len(films), len(names))


def level_sizes(selection: pd.DataFrame) -> list[Sizes]:
    """Sizes at each level, finest first; empty where nothing was clustered."""
    films, paths = paths_of(selection)
    if not len(films):
        return []
    selected = selection["selected"].to_numpy(bool)[films]
    weight = selection["weight"].to_numpy(np.float64)[films]
    sizes = []
    for column, clusters in enumerate(paths.T):
        n = int(clusters.max()) + 1
        drawn = np.bincount(clusters, weights=weight, minlength=n)
        after = np.bincount(clusters[selected], minlength=n)
        sizes.append(Sizes(column + 1, np.bincount(clusters, minlength=n), after, drawn / max(drawn.sum(), 1e-300)))
    return sizes


def grow_tree(selection: pd.DataFrame, sizes: list[Sizes], hierarchy: Hierarchy | None) -> Tree | None:
    """The tree over the ``sizes`` of the selection's levels, None where there is none.

    The most central films of a cluster of level 1 are those nearest to its centroid. Above, they are such films of
    the clusters whose centroids lie nearest to its own; without ``hierarchy`` centroids are not known, and the nearest
    films come first.
    """
    if not sizes:
        return None
    top = sizes[-1]
    lost = np.argsort(top.change, kind="stable")[:MARKED_CLUSTERS]
    lost_most = [int(k) for k in lost if top.change[k] < 0]
    kept = np.flatnonzero(top.after > 0)
    rarest_kept = [int(k) for k in kept[np.argsort(top.before[kept], kind="stable")][:MARKED_CLUSTERS]]
    largest = [int(k) for k in np.argsort(-top.before, kind="stable")]
    chosen = [*dict.fromkeys([*lost_most, *rarest_kept, *largest])][:TOP_CLUSTERS]
    lookup = _Lookup(selection, sizes, hierarchy)
    shown = [lookup.cluster(len(sizes), k, depth=0) for k in sorted(chosen, key=largest.index)]
    return Tree(len(top.before), tuple(shown), tuple(lost_most), tuple(rarest_kept))


class _Lookup:
    """Looks up members, children and central films of clusters in arrays that are sorted once."""

    def __init__(self, selection: pd.DataFrame, sizes: list[Sizes], hierarchy: Hierarchy | None) -> None:
        self._sizes, self._hierarchy = sizes, hierarchy
        films, paths = paths_of(selection)
        distance = selection["distance"].to_numpy(np.float64)[films]
        order = np.lexsort((distance, paths[:, 0]))  # NaN last
        self._films, self._paths, self._distance = films[order], paths[order], distance[order]
        finest = self._paths[:, 0]
        self._rank = np.arange(len(finest)) - np.searchsorted(finest, finest)  # 0: nearest to its centroid
        self._by_level = [np.argsort(clusters, kind="stable") for clusters in self._paths.T]
        self._ends = [np.cumsum(size.before) for size in sizes]

    def cluster(self, level: int, index: int, *, depth: int) -> Cluster:
        size = self._sizes[level - 1]
        members = self._members(level, index)
        children = self._children(members, level) if level > 1 else []
        return Cluster(
            level=level,
            index=index,
            before=int(size.before[index]),
            after=int(size.after[index]),
            share_before=float(size.before[index] / size.before.sum()),
            share_after=float(size.drawn[index]),
            central=tuple(int(self._films[m]) for m in self._central(members, level, index)[: CENTRAL_FILMS[depth]]),
            n_children=len(children),
            children=tuple(self.cluster(level - 1, child, depth=depth + 1) for child in children[:SUB_CLUSTERS])
            if depth + 1 < DEPTH
            else (),
        )

    def _members(self, level: int, index: int) -> I64:
        start = self._ends[level - 1][index] - self._sizes[level - 1].before[index]
        return self._by_level[level - 1][start : self._ends[level - 1][index]]

    def _children(self, members: I64, level: int) -> list[int]:
        below = np.unique(self._paths[members, level - 2])
        return [int(k) for k in below[np.argsort(-self._sizes[level - 2].before[below], kind="stable")]]

    def _central(self, members: I64, level: int, index: int) -> I64:
        """Members in order: from each cluster of level 1 its nearest film first, clusters by their centroids."""
        away = self._distance[members]
        if level > 1 and self._hierarchy is not None:
            finest = self._paths[members, 0]
            clusters, place = np.unique(finest, return_inverse=True)
            centroids = self._hierarchy.levels[0].centroids[clusters].astype(np.float64)
            centre = self._hierarchy.levels[level - 1].centroids[index].astype(np.float64)
            away = np.linalg.norm(centroids - centre, axis=1)[place]
        return members[np.lexsort((away, self._rank[members]))]
