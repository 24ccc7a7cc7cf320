"""Which of K centroids is nearest to each of N vectors: fast products propose, exact distances decide.

|x - c|² = |x|² - 2 (x·c - |c|²/2), so the nearest centroid has the highest score x·c - |c|²/2, and the scores of a
block of vectors are one matrix product. It runs in bf16 where the CPU has it. From the rounding of the operands follows
how far a score may be off (Cauchy-Schwarz). Of each vector the exact distance to one centroid is known, its own, and
with it the score that a rival must have to be nearer; that is subtracted within the product, so that the results which
matter are small numbers, and precise. Between rivals and the own centroid distances in float64 decide. So the answer
does not depend on the precision of the product, on the block, or on the number of threads, and it is as exact as brute
force in float64.

Vectors are read block by block, so that they may be a memory-mapped file larger than memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raydino.curation import loops
from raydino.curation.side_by_side import side_by_side
from raydino.errors import UserError
from raydino.train.precision import has_bf16

Vectors = npt.NDArray[np.floating]  # [N, D], float16 or float32, often memory-mapped
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

_BLOCK = 2**22  # numbers of a block: 16 MB of vectors, and a few blocks are on their way for each thread
_SCORES = 2**22  # scores of a product: 8 MB in bf16, so that they stay in the cache …
_PRODUCT_ROWS = (256, 4096)  # … with this many vectors, at least and at most; powers of two, as is what lies between
_GROUP = 32  # centroids that are looked through together, at most
_LANES = 64  # groups come in multiples of this: else torch takes their maximum ten times as slowly
_PARTS = 3  # columns for a float32 that is added to scores: three bf16 numbers hold one
_FEWEST_ROWS = 64  # of a product
_SLACK = 2.0**-5  # of a vector's squared distance: how far beyond it the nearest rival is told
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

    def find(_: slice, block: Tensor) -> Found:
        return search.nearest(Block.of(block, search.origin))

    parts = blocks(vectors, slice(0, len(vectors)), target)
    for rows, _, found in side_by_side(find, parts, target):
        index[rows], squared[rows] = found.centroid.cpu().numpy(), found.squared.cpu().numpy()
    return index, squared


def block_rows(vectors: Vectors, rows: slice) -> Iterator[slice]:
    """``rows`` of ``vectors`` block by block, each of a power of two, which whole products fill."""
    n = 2 ** int(np.log2(max(1, _BLOCK // max(1, vectors.shape[1]))))
    return (slice(start, min(start + n, rows.stop)) for start in range(rows.start, rows.stop, n))


def blocks(vectors: Vectors, rows: slice, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """``rows`` of ``vectors`` in float32 on ``device``, block by block: the slice, and the vectors [n, D]."""
    for part in block_rows(vectors, rows):
        yield part, _on_device(vectors[part], device)


@dataclass(frozen=True)
class Block:
    """``vectors`` [n, D] and what bounds the errors of their scores: the ``norm`` [n] of each less the origin, and of
    what is ``lost`` [n] when that is rounded for a product."""

    vectors: Tensor
    norm: Tensor
    lost: Tensor

    @classmethod
    def of(cls, vectors: Tensor, origin: Tensor) -> Block:
        if product_type(vectors.device) == torch.bfloat16 and _on_cpu(vectors):
            norm, lost = vectors.new_empty(2, len(vectors))
            loops.measure(*(t.numpy() for t in (vectors, origin, norm, lost)))
            return cls(vectors, norm, lost)
        centred = vectors - origin
        rest = centred - centred.to(product_type(vectors.device)).float()
        return cls(vectors, torch.linalg.vector_norm(centred, dim=1), torch.linalg.vector_norm(rest, dim=1))

    def __len__(self) -> int:
        return len(self.vectors)

    def at(self, rows: Tensor) -> Block:
        """Those at ``rows`` [m]."""
        return Block(*(t.index_select(0, rows) for t in (self.vectors, self.norm, self.lost)))


class Queries:
    """``rows`` of ``vectors`` [N, D], to be looked up more than once: all but the vectors of a ``Block`` is kept."""

    def __init__(self, vectors: Vectors, rows: slice, origin: Tensor) -> None:
        self.origin = origin
        self._vectors, self._rows = vectors, rows
        self._norm = torch.empty(rows.stop - rows.start, device=origin.device)
        self._lost = torch.empty_like(self._norm)
        parts = blocks(vectors, rows, origin.device)
        for part, _, measured in side_by_side(lambda _, block: Block.of(block, origin), parts, origin.device):
            mine = slice(part.start - rows.start, part.stop - rows.start)
            self._norm[mine], self._lost[mine] = measured.norm, measured.lost

    def blocks(self) -> Iterator[tuple[slice, Block]]:
        """The vectors block by block: their places among ``rows``, counted from 0, and the block."""
        for part, block in blocks(self._vectors, self._rows, self.origin.device):
            mine = slice(part.start - self._rows.start, part.stop - self._rows.start)
            yield mine, Block(block, self._norm[mine], self._lost[mine])

    def blocks_at(self, places: I64) -> Iterator[tuple[I64, Block]]:
        """The vectors at ``places`` [m] among ``rows``, block by block."""
        for part in (places[rows] for rows in block_rows(self._vectors, slice(0, len(places)))):
            chosen = torch.from_numpy(part).to(self.origin.device)
            vectors = _on_device(self._vectors[self._rows.start + part], self.origin.device)
            yield part, Block(vectors, self._norm[chosen], self._lost[chosen])


def squared_to_own(queries: Queries, centroids: Tensor, own: I64) -> F32:
    """Squared distance [N] of each of ``queries`` to that of ``centroids`` [K, D] which ``own`` [N] tells."""
    device, squared = centroids.device, np.empty(len(own), np.float32)

    def distances(mine: slice, block: Block) -> Tensor:
        return pair_distances(
            block.vectors, torch.arange(len(block), device=device), centroids, torch.from_numpy(own[mine]).to(device)
        )

    for mine, _, found in side_by_side(distances, queries.blocks(), device):
        squared[mine] = found.cpu().numpy()
    return squared


def product_type(device: torch.device) -> torch.dtype:
    """What scores are computed in: bf16 where a CPU has it."""
    return torch.bfloat16 if device.type == "cpu" and has_bf16(device) else torch.float32


def _on_device(vectors: Vectors, device: torch.device) -> Tensor:
    block = np.asarray(vectors, np.float32)
    return torch.from_numpy(block if block.flags.writeable else block.copy()).to(device)


def pair_distances(
    left: Tensor, rows: Tensor, right: Tensor, others: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """|left[rows] - right[others]|² of P pairs, in ``dtype``: [P]; exactly 0 for vectors that are equal."""
    if not _on_cpu(left):
        mine, theirs = left.index_select(0, rows).to(dtype), right.index_select(0, others).to(dtype)
        return torch.linalg.vector_norm(mine - theirs, dim=1).square_()
    squared = torch.empty(len(rows), dtype=dtype)
    loops.squared_between(*(t.numpy() for t in (left, rows, right, others, squared)))
    return squared


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
        self._rows = int(np.clip(2 ** int(np.log2(max(1, _SCORES // n))), *_PRODUCT_ROWS))
        self._dtype = product_type(centroids.device)
        self._n_groups = -(-(n + 1) // (_GROUP * _LANES)) * _LANES
        padded = -(-(n + 1) // self._n_groups) * self._n_groups  # at least one that is no centroid
        measured = Block.of(centroids, origin)
        self._norm, self._rounding = float(measured.norm.max()), float(measured.lost.max())
        self._operand = centroids.new_zeros((padded, dim + 2 * _PARTS), dtype=self._dtype)
        _write_operand(self._operand, centroids, origin, -measured.norm.square() / 2, dim)
        self._operand[:n, dim + _PARTS :] = -1
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
        _write_operand(block, vectors, self.origin, level, dim + _PARTS)
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
            mine.block[:, -2 * _PARTS : -_PARTS] = 1
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
            row, rival = _at_least(_bits(scores), best, _bits(least.to(self._dtype)))
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


def _at_least(numbers: Tensor, group_maxima: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """Rows, ascending, and columns of the ``numbers`` [n, members × groups] that are ``least`` [n] or more; group g are
    the columns g, g + groups, …, and their maxima [n, groups] say where to look."""
    if _on_cpu(numbers):
        rows, columns = loops.at_least(numbers.numpy(), group_maxima.numpy(), least.numpy())
        return torch.from_numpy(rows), torch.from_numpy(columns)
    n, n_groups = group_maxima.shape
    rows, groups = (group_maxima >= least[:, None]).nonzero(as_tuple=True)
    grouped = numbers.view(n, -1, n_groups)
    pair, member = (grouped[rows, :, groups] >= least[rows, None]).nonzero(as_tuple=True)
    return rows[pair], member * n_groups + groups[pair]


def _on_cpu(tensor: Tensor) -> bool:
    """Whether compiled ``loops`` work on it; else PyTorch's operations do the same."""
    return tensor.device.type == "cpu"


def _write_operand(operand: Tensor, vectors: Tensor, origin: Tensor, numbers: Tensor, place: int) -> None:
    """Write ``vectors`` [n, D] less ``origin`` [D] to the first n rows and D columns of ``operand``, and ``numbers``
    [n] to three columns from ``place`` on, which add up to them: three bf16 hold a float32."""
    if operand.dtype == torch.bfloat16 and _on_cpu(vectors):
        loops.write_bf16(operand.view(torch.uint16).numpy(), *(t.numpy() for t in (vectors, origin, numbers)), place)
        return
    n, dim = vectors.shape
    torch.sub(vectors, origin, out=operand[:n, :dim])
    for column in operand[:n, place : place + _PARTS].unbind(1):
        column.copy_(numbers)
        numbers = numbers - column


def _bits(numbers: Tensor) -> Tensor:
    """The bits of floating-point ``numbers`` as integers of the same size."""
    return numbers.view(torch.int16 if numbers.element_size() == 2 else torch.int32)
