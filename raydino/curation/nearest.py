"""Which of K centroids is nearest to each of N vectors: fast products propose, exact distances decide.

|x - c|² = |x|² - 2 (x·c - |c|²/2), so the nearest centroid has the highest score x·c - |c|²/2, and the scores of a
block of vectors are one matrix product (``Products``; ``Tiles`` where a CPU has a matrix unit). It runs in bf16 where
the CPU has it. From the rounding of the operands follows how far a score may be off (Cauchy-Schwarz). Of each vector
the exact distance to one centroid is known, its own, and with it the score that a rival must have to be nearer. Between
rivals and the own centroid distances in float64 decide. So the answer does not depend on the precision of the product,
on the block, or on the number of threads, and it is as exact as brute force in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from raydino.curation.blocks import F32, I64, Block, Vectors, blocks, origin_of
from raydino.curation.kernels import PARTS, contest, on_matrix_unit, pair_distances
from raydino.curation.products import Products
from raydino.curation.side_by_side import side_by_side
from raydino.curation.tiles import Tiles
from raydino.errors import UserError

_SLACK = 2.0**-5  # of a vector's squared distance: how far beyond it the nearest rival is told
_ACCUMULATION = 2.0**-23  # relative error of one addition within a product; twice that of float32, to be safe


def nearest(vectors: Vectors, centroids: F32, *, device: str | torch.device = "cpu") -> tuple[I64, F32]:
    """For each of ``vectors`` [N, D] its nearest of ``centroids`` [K, D] (the lowest on ties) and the squared distance.

    Both results are [N]. Memory beyond them and the centroids is that of a block. Raises UserError where dimensions
    do not agree.
    """
    if vectors.ndim != 2 or centroids.ndim != 2 or vectors.shape[1] != centroids.shape[1]:
        raise UserError(f"vectors of shape {vectors.shape} for centroids of shape {centroids.shape}")
    target = torch.device(device)
    search = Search(torch.tensor(centroids, dtype=torch.float32, device=target), origin_of(vectors, target))
    index = np.empty(len(vectors), np.int64)
    squared = np.empty(len(vectors), np.float32)

    def find(_: slice, block: Tensor) -> Found:
        return search.nearest(Block.of(block, search.origin))

    parts = blocks(vectors, slice(0, len(vectors)), target)
    for rows, _, found in side_by_side(find, parts, target):
        index[rows], squared[rows] = found.centroid.cpu().numpy(), found.squared.cpu().numpy()
    return index, squared


class Search:
    """``centroids`` [K, D] in float32, made ready to be compared with many blocks of vectors.

    ``origin`` [D] is subtracted from both in the products; any value gives the same answers.
    """

    def __init__(self, centroids: Tensor, origin: Tensor) -> None:
        self.centroids, self.origin = centroids, origin
        measured = Block.of(centroids, origin)
        self._norm, self._rounding = float(measured.norm.max()), float(measured.lost.max())
        scores = Tiles if on_matrix_unit(centroids.device) else Products
        self._scores = scores(centroids, origin, measured.norm.square() / 2)

    def nearest(self, block: Block, own: Tensor | None = None, squared: Tensor | None = None) -> Found:
        """The nearest centroid of each of ``block``, the lowest on ties.

        ``own`` [n] are any centroids, at distances ``squared`` [n]: the nearer, the less there is to decide. Raises
        UserError where a vector or a centroid is not finite, or too large to be squared in float32.
        """
        if own is None:
            own = self._scores.best(block.vectors, -(block.norm + self._norm) * self._norm)
        if squared is None:
            everyone = torch.arange(len(block), device=own.device)
            squared = pair_distances(block.vectors, everyone, self.centroids, own)
        rows, rivals, beyond = self.rivals(block, squared, own)
        return Found.between(self.centroids, block, Found(own, squared, beyond), rows, rivals)

    def nearer(self, block: Block, squared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Those rows only that have a centroid nearer than ``squared`` [n]; their nearest, its squared distance."""
        rows, rivals, _ = self.rivals(block, squared, None)
        return contest(block.vectors, self.centroids, rows, rivals, None, squared)

    def rivals(self, block: Block, squared: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Rows [P], ascending, and centroids [P] but ``own`` [n] that may be the nearest, no farther than ``squared``;
        and a bound [n]: no centroid but ``own`` lies nearer than that squared distance. K is none of these."""
        norm = block.norm
        error = block.lost * self._norm + (norm + block.lost) * self._rounding
        n_summands = block.vectors.shape[1] + 2 * PARTS
        error += n_summands * _ACCUMULATION * ((norm + self._norm).square() + norm.square() + squared)
        slack = _SLACK * squared
        level = (norm.square() - squared) / 2 - error - slack
        if not level.isfinite().all():
            raise UserError("a vector or a centroid holds NaN, infinity or a huge value", remedy="leave it out")
        rows, rivals, above = self._scores.contenders(block.vectors, level, slack, 2 * error, own)
        return rows, rivals, squared + 2 * slack - 2 * above


class Found(NamedTuple):
    """Of each vector of a block the nearest ``centroid`` [n], its ``squared`` distance [n], and ``beyond`` [n]: no
    other is nearer than this squared distance (0 where nothing is known of them)."""

    centroid: Tensor
    squared: Tensor
    beyond: Tensor

    @classmethod
    def between(cls, centroids: Tensor, block: Block, own: Found, rows: Tensor, rivals: Tensor) -> Found:
        """``own``, or where one of the ``rivals`` [P] of ``rows`` [P] is nearer, or as near and before it, that."""
        places, winners, nearest = contest(block.vectors, centroids, rows, rivals, own.centroid, own.squared)
        return cls(
            own.centroid.index_copy(0, places, winners),
            own.squared.index_copy(0, places, nearest),
            own.beyond.index_fill(0, places, 0.0),
        )
