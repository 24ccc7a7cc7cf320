"""Sums of the vectors of each cluster that do not depend on the order of summation."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from raydino.curation import loops
from raydino.train.distributed import all_sum

_MANTISSA = 51  # bits of a float64's 53 that a sum may take


class ExactSums:
    """Sum [K, D] and number [K] of the vectors of each cluster, kept up to date as vectors move.

    Values are rounded to a grid so coarse that float64 holds every sum exactly, and so fine that a mean does not
    notice: its step is 2^-51 of ``largest``, a bound on any sum's size. Exact additions may come in any order, and
    what was added can be taken away again. ``values`` and ``counts`` are those of all processes, as of the last
    ``gather``.
    """

    def __init__(self, n_clusters: int, dim: int, largest: float) -> None:
        step = 2.0 ** (math.frexp(max(largest, float(np.finfo(np.float32).tiny)))[1] - _MANTISSA)
        self._rounder = 1.5 * 2.0**52 * step  # x + this - this is x on the grid
        self._values = torch.zeros((n_clusters, dim), dtype=torch.float64)
        self._counts = torch.zeros(n_clusters, dtype=torch.int64)
        self.gather()

    def move(self, vectors: Tensor, before: Tensor, after: Tensor) -> None:
        """Take ``vectors`` [n, D] out of the clusters ``before`` [n], -1 for none, and add them to ``after`` [n]."""
        arrays = (t.cpu().numpy() for t in (vectors, before, after))
        loops.move(*arrays, self._rounder, self._values.numpy(), self._counts.numpy())

    def gather(self) -> None:
        """Add up what all processes have; each must call it."""
        self.values, self.counts = all_sum(self._values).numpy(), all_sum(self._counts).numpy()
