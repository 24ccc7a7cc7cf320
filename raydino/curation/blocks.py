"""Vectors, read block by block: they may be a memory-mapped file larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raydino.curation.kernels import measured, pair_distances
from raydino.curation.side_by_side import side_by_side

Vectors = npt.NDArray[np.floating]  # [N, D], float16 or float32, often memory-mapped
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

_BLOCK = 2**22  # numbers of a block: 16 MB of vectors, and there is one more block than threads
_ORIGIN_ROWS = 16384


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
        return cls(vectors, *measured(vectors, origin))

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
        for part, _, block in side_by_side(lambda _, vectors: Block.of(vectors, origin), parts, origin.device):
            mine = slice(part.start - rows.start, part.stop - rows.start)
            self._norm[mine], self._lost[mine] = block.norm, block.lost

    @property
    def largest(self) -> float:
        """What no value of the vectors exceeds in size; not finite where one is not, or is too large to be squared."""
        return float(self._norm.max()) + float(self.origin.abs().max()) if len(self._norm) else 0.0

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
        everyone, theirs = torch.arange(len(block), device=device), torch.from_numpy(own[mine]).to(device)
        return pair_distances(block.vectors, everyone, centroids, theirs)

    for mine, _, found in side_by_side(distances, queries.blocks(), device):
        squared[mine] = found.cpu().numpy()
    return squared


def origin_of(vectors: Vectors, device: torch.device) -> Tensor:
    """About the mean of ``vectors`` [D]: scores of centred vectors are small, and so is what rounding does to them."""
    step = max(1, len(vectors) // _ORIGIN_ROWS)
    sample = np.asarray(vectors[::step][:_ORIGIN_ROWS], np.float32)
    mean = sample.sum(0, dtype=np.float64) / max(1, len(sample))
    return torch.from_numpy(mean.astype(np.float32)).to(device)


def _on_device(vectors: Vectors, device: torch.device) -> Tensor:
    block = np.asarray(vectors, np.float32)
    return torch.from_numpy(block if block.flags.writeable else block.copy()).to(device)
