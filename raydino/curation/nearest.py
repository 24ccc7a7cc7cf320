"""Which of K centroids is nearest to each of N vectors: fast products propose, exact distances decide.

|x - c|² = |x|² - 2 (x·c - |c|²/2), so the nearest centroid has the highest score x·c - |c|²/2, and the scores of a
block of vectors are one matrix product. It runs in bf16 where the CPU has it. From the rounding of the operands follows
how far a score may be off (Cauchy-Schwarz). Of each vector the exact distance to one centroid is known, its own, and
with it the score that a rival must have to be nearer; that is subtracted within the product, so that the results which
matter are small numbers, and precise. Between rivals and the own centroid distances in float64 decide. So the answer
does not depend on the precision of the product, on the block, or on the number of threads, and it is as exact as brute
force in float64.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from raydino.curation.blocks import F32, I64, Block, Vectors, blocks, origin_of
from raydino.curation.kernels import PARTS, at_least, pair_distances, product_type, write_operand
from raydino.curation.side_by_side import side_by_side
from raydino.errors import UserError

_SCORES = 2**22  # scores of a product: 8 MB in bf16, so that they stay in the cache …
_PRODUCT_ROWS = (256, 4096)  # … with this many vectors, at least and at most; powers of two, as is what lies between
_GROUP = 32  # centroids that are looked through together, at most
_LANES = 64  # groups come in multiples of this: else torch takes their maximum ten times as slowly
_FEWEST_ROWS = 64  # of a product
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


def rounding_of(dim: int) -> float:
    """By how much one of two equal squared distances may seem larger, relatively: each is off by less than D + 3
    roundings."""
    return 2 * (dim + 3) * 2.0**-24


class Search:
    """``centroids`` [K, D] in float32, made ready for products with many blocks of vectors.

    ``origin`` [D] is subtracted from both in the products; any value gives the same answers.
    """

    def __init__(self, centroids: Tensor, origin: Tensor) -> None:
        n, dim = centroids.shape
        self.centroids, self.origin = centroids, origin
        self._rows = int(np.clip(2 ** int(np.log2(max(1, _SCORES // n))), *_PRODUCT_ROWS))
        self._dtype = product_type(centroids.device)
        self._n_groups = -(-(n + 1) // (_GROUP * _LANES)) * _LANES
        padded = -(-(n + 1) // self._n_groups) * self._n_groups  # at least one that is no centroid
        measured = Block.of(centroids, origin)
        self._norm, self._rounding = float(measured.norm.max()), float(measured.lost.max())
        self._operand = centroids.new_zeros((padded, dim + 2 * PARTS), dtype=self._dtype)
        write_operand(self._operand, centroids, origin, -measured.norm.square() / 2, dim)
        self._operand[:n, dim + PARTS :] = -1
        self._operand[n:, dim] = torch.finfo(self._dtype).min  # padding is nobody's rival
        self._of_thread = threading.local()  # where vectors become an operand, and their scores

    def nearest(self, block: Block, own: Tensor | None = None, squared: Tensor | None = None) -> Found:
        """The nearest centroid of each of ``block``, the lowest on ties.

        ``own`` [n] are any centroids, at distances ``squared`` [n]: the nearer, the less there is to decide. Raises
        UserError where a vector or a centroid is not finite, or too large to be squared in float32.
        """
        own = self._guess(block) if own is None else own
        if squared is None:
            everyone = torch.arange(len(block), device=own.device)
            squared = pair_distances(block.vectors, everyone, self.centroids, own)
        rows, rivals, beyond = self.rivals(block, squared, own)
        return Found.between(self.centroids, block, Found(own, squared, beyond), rows, rivals)

    def nearer(self, block: Block, squared: Tensor) -> tuple[Tensor, Tensor]:
        """For those rows only that may have a centroid no farther than ``squared`` [n]: rows, and their nearest."""
        rows, rivals, _ = self.rivals(block, squared, None)
        return decide(self.centroids, block.vectors, rows, rivals)

    def squared(self, vectors: Tensor) -> Tensor:
        """About the squared distances of ``vectors`` [n, D] to all centroids: [n, K]."""
        result = vectors.new_empty((len(vectors), len(self.centroids)))
        norms = (vectors - self.origin).square().sum(1, keepdim=True)
        for part, scores in self._products(vectors, torch.zeros_like(norms[:, 0])):
            torch.add(norms[part], scores[:, : len(self.centroids)].float(), alpha=-2, out=result[part])
        return result

    def _products(self, vectors: Tensor, level: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """The scores [m, padded K] of some of the ``vectors`` [n, D] at a time, less ``level`` [n]: of which, and the
        scores, which are valid until the next."""
        for start in range(0, max(1, len(vectors)), self._rows):
            part = slice(start, min(start + self._rows, len(vectors)))
            yield part, self._product(vectors[part], level[part])

    def _product(self, vectors: Tensor, level: Tensor) -> Tensor:
        """The scores of ``vectors``, which are few enough; valid until this thread's next product.

        It is made for one of few numbers of rows, the last of them left over from before: oneDNN compiles a kernel for
        each shape that it meets, which may take longer than the product.
        """
        n, dim = vectors.shape
        block, scores = self._places()
        write_operand(block, vectors, self.origin, level, dim + PARTS)
        rows = self._rows
        while rows // 2 >= max(n, _FEWEST_ROWS):
            rows //= 2
        torch.mm(block[:rows], self._operand.T, out=scores[:rows])
        return scores[:n]

    def _places(self) -> tuple[Tensor, Tensor]:
        """Where this thread's vectors become operands of products, and where their scores go."""
        mine = self._of_thread
        if not hasattr(mine, "block"):
            padded, columns = self._operand.shape
            mine.block = self._operand.new_zeros((self._rows, columns))
            mine.block[:, -2 * PARTS : -PARTS] = 1
            mine.scores = self._operand.new_empty((self._rows, padded))
        return mine.block, mine.scores

    def _grouped(self, scores: Tensor) -> Tensor:
        """``scores`` as [n, members, groups] of integers, which stand in the order of the numbers where those are at
        least 0: of integers torch takes maxima many times faster. A group is strided: it takes whole registers."""
        return _bits(scores).view(len(scores), scores.shape[1] // self._n_groups, self._n_groups)

    def _guess(self, block: Block) -> Tensor:
        """A centroid for each of ``block`` that is likely near: [n]."""
        guesses = []
        for _, scores in self._products(block.vectors, -(block.norm + self._norm) * self._norm):  # below all scores
            grouped = self._grouped(scores)
            group = grouped.amax(1).argmax(1)
            member = grouped.gather(2, group[:, None, None].expand(-1, grouped.shape[1], 1))[..., 0].argmax(1)
            guesses.append(member * self._n_groups + group)
        return torch.cat(guesses).clamp_(max=len(self.centroids) - 1)

    def rivals(self, block: Block, squared: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Rows [P], ascending, and centroids [P] but ``own`` [n] that may be the nearest, no farther than ``squared``;
        and a bound [n]: no centroid but ``own`` lies nearer than that squared distance. K is none of these."""
        norm, columns = block.norm, self._operand.shape[1]
        error = block.lost * self._norm + (norm + block.lost) * self._rounding
        error += columns * _ACCUMULATION * ((norm + self._norm).square() + norm.square() + squared)
        slack = _SLACK * squared
        level = (norm.square() - squared) / 2 - error - slack
        if not level.isfinite().all():
            raise UserError("a vector or a centroid holds NaN, infinity or a huge value", remedy="leave it out")
        unit = 1.6 * torch.finfo(self._dtype).eps  # three roundings: of the highest, of another, and of ``least``
        rows, rivals, beyond = [], [], squared + 2 * slack
        for part, scores in self._products(block.vectors, level):
            if own is not None:
                scores[torch.arange(len(scores), device=own.device), own[part]] = torch.finfo(self._dtype).min
            best = self._grouped(scores).amax(1)
            top = best.amax(1).view(self._dtype).float().clamp_(min=0)
            least = torch.maximum(top - 2 * error[part] - unit * (top + 2 * error[part]), (1 - unit) * slack[part])
            row, rival = at_least(_bits(scores), best, _bits(least.to(self._dtype)))
            rows.append(row + part.start)
            rivals.append(rival)
            beyond[part] -= 2 * (1 + unit) * top
        return torch.cat(rows), torch.cat(rivals), beyond


class Found(NamedTuple):
    """Of each vector of a block the nearest ``centroid`` [n], its ``squared`` distance [n], and ``beyond`` [n]: no
    other is nearer than this squared distance (0 where nothing is known of them)."""

    centroid: Tensor
    squared: Tensor
    beyond: Tensor

    @classmethod
    def between(cls, centroids: Tensor, block: Block, own: Found, rows: Tensor, rivals: Tensor) -> Found:
        """``own``, or where one of the ``rivals`` [P] of ``rows`` [P] is nearer, or as near and before it, that."""
        squared = pair_distances(block.vectors, rows, centroids, rivals)
        near = squared <= (1 + rounding_of(block.vectors.shape[1])) * own.squared.index_select(0, rows)
        rows, rivals = rows[near], rivals[near]
        contested = torch.unique_consecutive(rows)
        order = torch.cat((rows, contested)).argsort(stable=True)
        candidates = torch.cat((rivals, own.centroid[contested]))[order]
        places, nearest = decide(centroids, block.vectors, torch.cat((rows, contested))[order], candidates)
        lost = nearest != own.centroid[places]
        places, nearest = places[lost], nearest[lost]
        squared = pair_distances(block.vectors, places, centroids, nearest)
        return cls(
            own.centroid.index_copy(0, places, nearest),
            own.squared.index_copy(0, places, squared),
            own.beyond.index_fill(0, places, 0.0),
        )


def decide(centroids: Tensor, vectors: Tensor, rows: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Of ``rows`` [P] of ``vectors``, ascending, and ``candidates`` [P] among ``centroids``: each row once, and its
    nearest, the lowest on ties."""
    found, place, count = torch.unique_consecutive(rows, return_inverse=True, return_counts=True)
    # float32 leaves few pairs to float64.
    for dtype, slack in ((torch.float32, rounding_of(vectors.shape[1])), (torch.float64, 0.0)):
        several = (count > 1).index_select(0, place).nonzero()[:, 0]
        if len(several) == 0:
            break
        squared = pair_distances(vectors, rows[several], centroids, candidates[several], dtype)
        least = squared.new_full((len(found),), torch.inf)
        least.scatter_reduce_(0, place[several], squared, "amin")
        kept = torch.ones_like(place, dtype=torch.bool)
        kept[several] = squared <= (1 + slack) * least[place[several]]
        rows, candidates, place = rows[kept], candidates[kept], place[kept]
        count = torch.bincount(place, minlength=len(found))
    lowest = candidates.new_full((len(found),), len(centroids))
    return found, lowest.scatter_reduce_(0, place, candidates, "amin")


def _bits(numbers: Tensor) -> Tensor:
    """The bits of floating-point ``numbers`` as integers of the same size."""
    return numbers.view(torch.int16 if numbers.element_size() == 2 else torch.int32)
