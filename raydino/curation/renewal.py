"""The nearest centroid of each vector once more, after some of the centroids have moved.

A centroid that stayed where it was can win a vector only if the vector's own went away, and farther than the distance
that no other was nearer than. So all vectors meet the centroids that moved, and only where that may have happened they
meet all of them. After a few iterations of Lloyd most centroids stand still, as their clusters neither lose nor gain a
vector. The answer is that of ``Search.nearest``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydino.curation.blocks import Block
from raydino.curation.kernels import pair_distances, rounding_of
from raydino.curation.nearest import Found, Search


class Renewal:
    """Where vectors go that were each nearest to one of ``before`` [K, D] and now to one of ``after`` [K, D].

    ``before`` is None where nothing is known of the vectors; ``origin`` is that of ``Search``.
    """

    def __init__(self, before: Tensor | None, after: Tensor, origin: Tensor) -> None:
        self._all = Search(after, origin)
        self._has_moved = torch.ones_like(after[:, 0]) > 0 if before is None else (before != after).any(1)
        self._numbers = self._has_moved.nonzero()[:, 0]
        self._place = torch.full_like(self._has_moved, len(self._numbers), dtype=torch.int64)  # among the moved
        self._place[self._numbers] = torch.arange(len(self._numbers), device=after.device)
        self._moved = None
        if 0 < len(self._numbers) < len(after):
            self._moved = Search(after.index_select(0, self._numbers), origin)

    def settle(self, block: Block, known: Found) -> tuple[Found, Tensor]:
        """What is found for each of ``block`` after ``known`` (centroids of -1: nothing); and rows [m] for which it is
        not: ``nearest`` finds it, and takes as long for few rows as for many."""
        nobody = self._numbers[:0]
        if len(self._numbers) == 0:
            return known, nobody
        if bool((known.centroid[:1] < 0).any()):
            return self._all.nearest(block), nobody
        follows = self._has_moved.index_select(0, known.centroid)
        followers = follows.nonzero()[:, 0]
        theirs = known.centroid.index_select(0, followers)
        followed = pair_distances(block.vectors, followers, self._all.centroids, theirs)
        now = known._replace(squared=known.squared.index_copy(0, followers, followed))
        reach = now.squared * (1 + rounding_of(block.vectors.shape[1])) + torch.finfo(now.squared.dtype).tiny
        open_ = follows & (reach >= torch.maximum(known.squared, known.beyond))
        if self._moved is None or open_.count_nonzero() > len(block) * (1 - len(self._numbers) / len(self._has_moved)):
            return self._all.nearest(block, now.centroid, now.squared), nobody
        own = self._place.index_select(0, now.centroid)
        rows, rivals, beyond = self._moved.rivals(block, torch.where(open_, 0.0, now.squared), own)
        now = now._replace(beyond=torch.minimum(now.beyond, beyond))
        return Found.between(self._all.centroids, block, now, rows, self._numbers[rivals]), open_.nonzero()[:, 0]

    def nearest(self, block: Block, own: Tensor) -> Found:
        """As ``settle`` where nothing is known but that ``own`` [n] is likely near."""
        return self._all.nearest(block, own)
