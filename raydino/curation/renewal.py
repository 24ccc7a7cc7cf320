"""The nearest centroid of each vector once more, after some of the centroids have moved.

A vector whose own centroid stayed where it was, or came nearer, can be won by a centroid that moved, and by no other:
the rest lie where they did when they lost. So such vectors meet the centroids that moved, and only the vectors whose
own centroid went away meet all of them. After a few iterations of Lloyd most centroids stand still, as their clusters
neither lose nor gain a vector. The answer is that of ``Search.nearest``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydino.curation.nearest import Search, rounding_of, squared_distances

_WORTH = 0.8  # of the centroids may have moved, at most: else all vectors meet all of them


class Renewal:
    """Where vectors go that were each nearest to one of ``before`` [K, D] and now to one of ``after`` [K, D].

    ``before`` is None where nothing is known of the vectors; ``origin`` is that of ``Search``.
    """

    def __init__(self, before: Tensor | None, after: Tensor, origin: Tensor) -> None:
        self._all = Search(after, origin)
        self.block_rows = self._all.block_rows
        self._before = after if before is None else before
        self._has_moved = torch.ones_like(after[:, 0]) > 0 if before is None else (before != after).any(1)
        self._numbers = self._has_moved.nonzero()[:, 0]
        self._moved = None
        if 0 < len(self._numbers) <= _WORTH * len(after):
            self._moved = Search(after.index_select(0, self._numbers), origin)

    def nearest(self, block: Tensor, own: Tensor) -> Tensor:
        """The nearest centroid now of each of ``block`` [n, D], n at most ``block_rows``, which was ``own`` [n]."""
        if len(self._numbers) == 0:
            return own
        if self._moved is None:
            return self._all.nearest(block)
        near = squared_distances(block, self._all.centroids.index_select(0, own))
        moved = self._has_moved.index_select(0, own).nonzero()[:, 0]
        gone = moved[self._went_away(block.index_select(0, moved), own[moved], near[moved])]
        stays = torch.ones_like(own, dtype=torch.bool)
        stays[gone] = False
        faithful = stays.nonzero()[:, 0]
        found = own.clone()
        found[gone] = self._all.nearest(block.index_select(0, gone))
        rows, rival = self._moved.nearer(block.index_select(0, faithful), near[faithful])
        rows, rival = faithful[rows], self._numbers[rival]
        contested = rival != own[rows]
        rows, rival = rows[contested], rival[contested]
        pairs = torch.stack((own[rows], rival), 1).flatten()
        rows, nearest = self._all.decide(block, rows.repeat_interleave(2), pairs)
        found[rows] = nearest
        return found

    def _went_away(self, vectors: Tensor, own: Tensor, near: Tensor) -> Tensor:
        """[n]: whether the own centroid of a vector, at ``near`` [n] now, may be no nearer than it was."""
        before = squared_distances(vectors, self._before.index_select(0, own))
        certain = near * (1 + rounding_of(vectors.shape[1])) + torch.finfo(near.dtype).tiny < before
        return ~certain
