"""k-means over vectors that may be larger than memory (Lloyd 1982), seeded as k-means++.

A function of its arguments alone: each vector goes to the nearest centroid as float64 sees it (``nearest``), and sums
are exact (``ExactSums``), so that neither blocks, threads nor processes leave a trace in the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raydino.curation.blocks import F32, I64, Block, Queries, Vectors, origin_of, squared_to_own
from raydino.curation.nearest import Found, nearest
from raydino.curation.renewal import Renewal
from raydino.curation.seeding import plus_plus
from raydino.curation.shares import Share, total
from raydino.curation.side_by_side import side_by_side
from raydino.curation.sums import ExactSums
from raydino.errors import UserError
from raydino.tracking import progress_bar
from raydino.train.distributed import agreed_max, is_main
from raydino.train.precision import pick_device

__all__ = ["F32", "I64", "Clusters", "Vectors", "kmeans", "nearest"]

_HUGE = 1e15  # thousands of squares of what is below it add up within float32


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


def kmeans(
    vectors: Vectors,
    n_clusters: int,
    *,
    seed: int | tuple[int, ...],
    n_iterations: int = 50,
    start: F32 | None = None,
    device: str = "cpu",
) -> Clusters:
    """k-means++ seeding, or the centroids ``start`` [K, D]; then ``n_iterations`` of Lloyd, fewer where nothing moves.

    No cluster of the result is empty: one that becomes so moves to the vector that lies farthest from its centroid.
    ``vectors`` [N, D] are read once an iteration and some ten times for seeding; memory beside them, the centroids
    and the result is that of a block and of four numbers a vector. Under ``process_group`` the processes share the
    work; each must be given all the vectors, and gets the result that one process would get, to the bit.

    Raises UserError where there are fewer distinct vectors than ``n_clusters``, and where a value is not finite.
    """
    _require_fitting(vectors, n_clusters, start)
    lloyd = _Lloyd(vectors, n_clusters, pick_device(device))
    with progress_bar(shown=is_main(), transient=True) as bar:
        task = bar.add_task(f"k-means, {n_clusters} clusters", total=n_iterations + 1, note="seeding")
        if start is None:
            lloyd.seed(np.random.default_rng(seed))
        else:
            lloyd.assign(start.astype(np.float32))
        bar.advance(task)
        for _ in range(n_iterations):
            if not lloyd.assign(lloyd.occupied(lloyd.means())):
                break
            bar.update(task, advance=1, note=f"{lloyd.moved} moved")
        while not lloyd.sums.counts.all():
            lloyd.assign(lloyd.occupied(lloyd.centroids))
        bar.update(task, completed=n_iterations + 1)
    return lloyd.result()


class _Lloyd:
    """The state between two steps: ``centroids`` [K, D], ``sums``, and of this process's share of the vectors the
    ``assignment``, the ``squared`` distance to its centroid, and ``beyond``, which no other is nearer than.

    ``moved`` counts the vectors, of all processes, to which the last assignment gave another cluster.
    """

    def __init__(self, vectors: Vectors, n_clusters: int, device: torch.device) -> None:
        self.vectors = vectors
        self.share = Share.mine(len(vectors))
        self.queries = Queries(vectors, self.share.rows, origin_of(vectors, device))
        self.sums = ExactSums(n_clusters, vectors.shape[1], _bound(self.queries) * len(vectors))
        self.assignment = np.full(len(self.share), -1, np.int64)
        self.squared = np.zeros(len(self.share), np.float32)
        self.beyond = np.zeros(len(self.share), np.float32)
        self.centroids = np.zeros((n_clusters, vectors.shape[1]), np.float32)
        self.moved = 0
        self._settled = False  # whether each vector is known to be with the nearest of ``centroids``

    def seed(self, rng: np.random.Generator) -> None:
        """k-means++; its last look at the vectors is the first assignment."""
        seeds = plus_plus(self.vectors, len(self.centroids), rng=rng, share=self.share, queries=self.queries)
        self.centroids = np.asarray(self.vectors[seeds.rows], np.float32)
        for mine, block in self.queries.blocks():
            self._give(block.vectors, mine, seeds.assignment[mine])
        self.squared = seeds.squared
        self.sums.gather()

    def assign(self, centroids: F32) -> bool:
        """Give each vector to the nearest of ``centroids``; whether any has moved."""
        before = self._on_device(self.centroids) if self._settled else None
        self.centroids, self._settled = centroids, True
        renewal = Renewal(before, self._on_device(centroids), self.queries.origin)
        moved, left = 0, [np.empty(0, np.int64)]

        def settle(mine: slice, block: Block) -> tuple[Found, Tensor]:
            return renewal.settle(block, self._known(mine))

        def find(places: I64, block: Block) -> Found:
            return renewal.nearest(block, self._known(places).centroid)

        device = self.queries.origin.device
        for mine, block, (found, rows) in side_by_side(settle, self.queries.blocks(), device):
            moved += self._renew(block, mine, found)
            left.append(mine.start + rows.cpu().numpy())
        for places, block, found in side_by_side(find, self.queries.blocks_at(np.concatenate(left)), device):
            moved += self._renew(block, places, found)
        self.moved = int(total(np.asarray([moved]))[0])
        if self.moved:
            self.sums.gather()
        return self.moved > 0

    def means(self) -> F32:
        """The mean of each cluster [K, D]; of an empty one the centroid that it had."""
        counts = self.sums.counts[:, None]
        return np.where(counts > 0, self.sums.values / np.maximum(counts, 1), self.centroids).astype(np.float32)

    def occupied(self, centroids: F32) -> F32:
        """``centroids`` with those of empty clusters at the vectors that lie farthest from theirs, one of a cluster."""
        empty = np.flatnonzero(self.sums.counts == 0)
        if len(empty) == 0:
            return centroids
        assignment = self.share.whole(self.assignment)
        squared = self.share.whole(squared_to_own(self.queries, self._on_device(centroids), self.assignment))
        squared[self.sums.counts[assignment] < 2] = 0  # would leave an empty cluster behind
        order = np.argsort(-squared, kind="stable")
        order = order[np.sort(np.unique(assignment[order], return_index=True)[1])]  # the first of each cluster
        farthest = order[squared[order] > 0][: len(empty)]
        if len(farthest) == 0:
            found = len(centroids) - len(empty)
            raise UserError(
                f"{len(centroids)} clusters were asked for, and there are {found} distinct vectors",
                remedy="ask for fewer clusters",
            )
        filled = centroids.copy()
        filled[empty[: len(farthest)]] = self.vectors[farthest]
        return filled

    def result(self) -> Clusters:
        return Clusters(self.centroids, self.share.whole(self.assignment), self.share.whole(self.squared))

    def _known(self, places: slice | I64) -> Found:
        """What the last assignment found of this share's ``places``."""
        return Found(*(self._on_device(known[places]) for known in (self.assignment, self.squared, self.beyond)))

    def _renew(self, block: Block, places: slice | I64, found: Found) -> int:
        self.squared[places], self.beyond[places] = found.squared.cpu().numpy(), found.beyond.cpu().numpy()
        return self._give(block.vectors, places, found.centroid.cpu().numpy())

    def _give(self, vectors: Tensor, places: slice | I64, clusters: I64) -> int:
        """Let the sums know that the share's ``places``, which are ``vectors``, go to ``clusters``; how many moved."""
        before = self.assignment[places]
        moved = np.flatnonzero(before != clusters)
        if len(moved):
            chosen = vectors.index_select(0, self._on_device(moved))
            self.sums.move(chosen, torch.from_numpy(before[moved]), torch.from_numpy(clusters[moved]))
            self.assignment[places] = clusters
        return len(moved)

    def _on_device(self, array: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self.queries.origin.device)


def _bound(queries: Queries) -> float:
    """What no value of all vectors exceeds in size; raises UserError where one is not finite, or huge."""
    largest = queries.largest
    largest = agreed_max(largest if largest < _HUGE else math.inf)  # NaN is not below it
    if math.isinf(largest):
        raise UserError("a vector holds NaN, infinity or a huge value", remedy="leave it out")
    return largest


def _require_fitting(vectors: Vectors, n_clusters: int, start: npt.NDArray[np.floating] | None) -> None:
    if vectors.ndim != 2:
        raise UserError(f"vectors of shape {vectors.shape}", remedy="[N, D]: one row a vector")
    if not 1 <= n_clusters <= len(vectors):
        raise UserError(
            f"{n_clusters} clusters of {len(vectors)} vectors", remedy="ask for at least 1, and no more than vectors"
        )
    if start is not None and start.shape != (n_clusters, vectors.shape[1]):
        raise UserError(f"start of shape {start.shape}", remedy=f"({n_clusters}, {vectors.shape[1]})")
