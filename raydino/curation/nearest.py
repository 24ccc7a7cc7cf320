"""Which of K centroids is nearest to each of N vectors: fast products propose, exact distances decide.

|x - c|² = |x|² - 2 (x·c - |c|²/2), so the nearest centroid has the highest score x·c - |c|²/2, and the scores of a
block of vectors are one matrix product. It runs in bf16 where the CPU has it. From the rounding of the operands follows
how far a score may be off (Cauchy-Schwarz); every centroid whose score comes that near to the highest is a candidate,
and where a vector has several, distances in float64 decide. So the answer does not depend on the precision of the
product, on the block, or on the number of threads, and it is as exact as brute force in float64.

Vectors are read block by block, so that they may be a memory-mapped file larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raydino.errors import UserError
from raydino.train.precision import has_bf16

Vectors = npt.NDArray[np.floating]  # [N, D], float16 or float32, often memory-mapped
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

_SCORES = 2**22  # scores of a block: 8 MB in bf16, so that they stay in the cache …
_ROWS = (256, 4096)  # … with this many vectors, at least and at most
_PAIRS = 512  # exact distances at a time
_GROUP = 32  # centroids that are looked through together, at most
_LANES = 64  # groups come in multiples of this: else torch takes their maximum ten times as slowly
_BIAS = 3  # columns that carry -|c|²/2 in parts: three bf16 numbers hold a float32
_ACCUMULATION = 2.0**-23  # relative error of one addition within a product; twice that of float32, to be safe
_ORIGIN_ROWS = 16384


def nearest(vectors: Vectors, centroids: F32, *, device: str | torch.device = "cpu") -> tuple[I64, F32]:
    """For each of ``vectors`` [N, D] its nearest of ``centroids`` [K, D] (the lowest on ties) and the squared distance.

    Both results are [N]. Memory beyond them and the centroids is that of a block. Raises UserError where dimensions
    do not agree.
    """
    if vectors.ndim != 2 or centroids.ndim != 2 or vectors.shape[1] != centroids.shape[1]:
        raise UserError(f"vectors of shape {vectors.shape} for centroids of shape {centroids.shape}")
    target = torch.device(device)
    search = Search(torch.as_tensor(centroids, dtype=torch.float32, device=target), origin_of(vectors, target))
    index = np.empty(len(vectors), np.int64)
    squared = np.empty(len(vectors), np.float32)
    for rows, block in blocks(vectors, slice(0, len(vectors)), search.block_rows, target):
        found = search.nearest(block)
        index[rows] = found.cpu().numpy()
        squared[rows] = squared_distances(block, search.centroids.index_select(0, found)).cpu().numpy()
    return index, squared


def blocks(vectors: Vectors, rows: slice, n: int, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """``rows`` of ``vectors`` in float32 on ``device``, ``n`` at a time: the slice, and the vectors [n, D]."""
    for start in range(rows.start, rows.stop, n):
        part = slice(start, min(start + n, rows.stop))
        block = np.asarray(vectors[part], np.float32)
        yield part, torch.from_numpy(block if block.flags.writeable else block.copy()).to(device)


def squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """|left - right|² of each row, [..., D] to [...]; exactly 0 for rows that are equal."""
    return torch.linalg.vector_norm(left - right, dim=-1).square_()


def rounding_of(dim: int) -> float:
    """By how much one of two equal squared distances may seem larger, relatively: each is off by less than D + 3
    roundings."""
    return 2 * (dim + 3) * 2.0**-24


def origin_of(vectors: Vectors, device: torch.device) -> Tensor:
    """About the mean of ``vectors`` [D]: scores of centred vectors are small, and so is what rounding does to them."""
    step = max(1, len(vectors) // _ORIGIN_ROWS)
    sample = np.asarray(vectors[::step][:_ORIGIN_ROWS], np.float32)
    return torch.from_numpy(sample.mean(0, dtype=np.float64).astype(np.float32)).to(device)


class Search:
    """``centroids`` [K, D] in float32, made ready for products with many blocks of vectors.

    ``origin`` [D] is subtracted from both in the products; any value gives the same answers.
    """

    def __init__(self, centroids: Tensor, origin: Tensor) -> None:
        n, dim = centroids.shape
        self.centroids, self.origin = centroids, origin
        self.block_rows = max(_ROWS[0], min(_ROWS[1], _SCORES // n))
        self._dtype = torch.bfloat16 if centroids.device.type == "cpu" and has_bf16(centroids.device) else torch.float32
        n_groups = -(-n // (_GROUP * _LANES)) * _LANES
        self._group = -(-n // n_groups)
        padded = self._group * n_groups
        centred = centroids.double() - origin.double()
        self._operand = centred.new_zeros((padded, dim + _BIAS), dtype=self._dtype)
        self._operand[:n, :dim] = centred
        self._operand[n:, dim] = torch.finfo(self._dtype).min  # padding is nobody's candidate
        rest = -centred.square().sum(1) / 2
        for column in range(dim, dim + _BIAS):
            self._operand[:n, column] = rest
            rest = rest - self._operand[:n, column]
        self._norm = float(torch.linalg.vector_norm(centred, dim=1).max())
        self._rounding = float(torch.linalg.vector_norm(centred - self._operand[:n, :dim], dim=1).max())
        self._block = centroids.new_empty((self.block_rows, dim + _BIAS), dtype=self._dtype)
        self._block[:, dim:] = 1
        self._scores = centroids.new_empty((self.block_rows, padded), dtype=self._dtype)

    def nearest(self, block: Tensor) -> Tensor:
        """The nearest centroid of each of ``block`` [n, D], n at most ``block_rows``: [n], the lowest on ties.

        Raises UserError where a vector or a centroid is not finite, or too large to be squared in float32.
        """
        rows, found = self.decide(block, *self._candidates(block, None))
        if len(rows) < len(block):
            raise UserError("a vector or a centroid holds NaN, infinity or a huge value", remedy="leave it out")
        return found

    def nearer(self, block: Tensor, squared: Tensor) -> tuple[Tensor, Tensor]:
        """As ``nearest``, for those rows only that may lie nearer than ``squared`` [n]: rows, and their centroids."""
        return self.decide(block, *self._candidates(block, squared))

    def squared(self, block: Tensor) -> Tensor:
        """About the squared distances of ``block`` [n, D] to all centroids: [n, K]; n may be any number."""
        result = block.new_empty((len(block), len(self.centroids)))
        for part, out in zip(block.split(self.block_rows), result.split(self.block_rows), strict=True):
            norm = self._product(part).square().sum(1, keepdim=True)
            torch.sub(norm, self._scores[: len(part), : len(self.centroids)], alpha=2, out=out)
        return result

    def _product(self, block: Tensor) -> Tensor:
        """Leaves the scores of ``block`` in ``_scores``, and what went into them in ``_block``; returns it centred."""
        centred = block - self.origin
        operand = self._block[: len(block)]
        operand[:, : block.shape[1]] = centred
        torch.mm(operand, self._operand.T, out=self._scores[: len(block)])
        return centred

    def _candidates(self, block: Tensor, squared: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rows [P], ascending, and centroids [P] that may be their nearest, and nearer than ``squared``."""
        n, dim = block.shape
        centred = self._product(block)
        norm = torch.linalg.vector_norm(centred, dim=1)
        rounding = torch.linalg.vector_norm(centred - self._block[:n, :dim], dim=1)
        # A group is strided: its maximum takes whole registers.
        grouped = self._scores[:n].view(n, self._group, self._scores.shape[1] // self._group)
        error = rounding * self._norm + (norm + rounding) * self._rounding
        error += (dim + _BIAS) * _ACCUMULATION * (norm + self._norm) * self._norm
        unit = torch.finfo(self._dtype).eps if self._dtype != torch.float32 else 0.0  # the result is rounded as well
        best = _group_maxima(grouped, 3 * error)
        top = best.amax(1).float()
        least = top - 2 * error - 1.02 * unit * (top.abs() + 2 * error)
        if squared is not None:
            enough = (norm.square() - squared) / 2
            margin = error + unit * (enough.abs() + error) + 2.0**-18 * (norm.square() + squared)
            least = torch.maximum(least, enough - margin)
        rows, groups = (best.float() >= least[:, None]).nonzero(as_tuple=True)
        pair, member = (grouped[rows, :, groups].float() >= least[rows, None]).nonzero(as_tuple=True)
        return rows[pair], member * best.shape[1] + groups[pair]

    def decide(self, block: Tensor, rows: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Of ``rows`` [P], ascending, and ``candidates`` [P]: each row once, and its nearest, the lowest on ties."""
        found, place, count = torch.unique_consecutive(rows, return_inverse=True, return_counts=True)
        # float32 leaves few pairs to float64.
        for dtype, slack in ((torch.float32, rounding_of(block.shape[1])), (torch.float64, 0.0)):
            several = (count > 1).index_select(0, place).nonzero()[:, 0]
            if len(several) == 0:
                break
            squared = torch.cat([self._between(block, rows[p], candidates[p], dtype) for p in several.split(_PAIRS)])
            least = squared.new_full((len(found),), torch.inf)
            least.scatter_reduce_(0, place[several], squared, "amin")
            kept = torch.ones_like(place, dtype=torch.bool)
            kept[several] = squared <= (1 + slack) * least[place[several]]
            rows, candidates, place = rows[kept], candidates[kept], place[kept]
            count = torch.bincount(place, minlength=len(found))
        lowest = candidates.new_full((len(found),), len(self.centroids))
        return found, lowest.scatter_reduce_(0, place, candidates, "amin")

    def _between(self, block: Tensor, rows: Tensor, candidates: Tensor, dtype: torch.dtype) -> Tensor:
        left, right = block.index_select(0, rows), self.centroids.index_select(0, candidates)
        return squared_distances(left.to(dtype), right.to(dtype))


def _group_maxima(grouped: Tensor, positive: Tensor) -> Tensor:
    """The maxima of ``grouped`` [n, g, G] over g: [n, G]; in a row with one above ``positive`` [n] >= 0 only those
    above 0 are right.

    bf16 numbers above 0 stand in the order of their bits, and of integers torch takes maxima many times faster.
    """
    if grouped.dtype != torch.bfloat16:
        return grouped.amax(1)
    best = grouped.view(torch.int16).amax(1).view(torch.bfloat16)
    low = (best.view(torch.int16).amax(1).view(torch.bfloat16) <= positive).nonzero()[:, 0]
    if len(low):
        best[low] = grouped.index_select(0, low).amax(1)
    return best
