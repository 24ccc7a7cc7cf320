"""Which vectors are whose, where several processes work on one set of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from raydino.train.distributed import all_sum, rank, world_size

Number = TypeVar("Number", np.float32, np.float64, np.int64)


@dataclass(frozen=True)
class Share:
    """The ``rows`` of ``n`` vectors that this process works on; the processes' shares follow one another."""

    n: int
    rows: slice

    @classmethod
    def mine(cls, n: int) -> Share:
        """This process's share of ``n`` vectors: all of them where it is the only one."""
        return cls(n, slice(n * rank() // world_size(), n * (rank() + 1) // world_size()))

    def __len__(self) -> int:
        return self.rows.stop - self.rows.start

    def local(self, rows: slice) -> slice:
        """Where ``rows`` of the whole stand in an array of this share."""
        return slice(rows.start - self.rows.start, rows.stop - self.rows.start)

    def whole(self, part: npt.NDArray[Number]) -> npt.NDArray[Number]:
        """The values [n] of all vectors from those of each process's share. All processes must call it."""
        if len(part) == self.n:
            return part
        values = np.zeros(self.n, part.dtype)
        values[self.rows] = part
        return total(values)


def total(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The sum of ``values`` over all processes."""
    return all_sum(torch.from_numpy(values)).numpy()
