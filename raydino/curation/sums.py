"""Sums of the vectors of each cluster that do not depend on the order of summation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from raydino.curation.nearest import F32, I64
from raydino.curation.shares import total

_MANTISSA = 51  # bits of a float64's 53 that a sum may take


class ExactSums:
    """Sum [K, D] and number [K] of the vectors of each cluster, kept up to date as vectors move.

    Values are rounded to a grid so coarse that float64 holds every sum exactly, and so fine that a mean does not notice: its
    step is 2^-51 of ``largest``, a bound on any sum's size. Exact additions may come in any order, and what was added can be
    taken away again. ``values`` and ``counts`` are those of all processes, as of the last ``gather``.
    """

    def __init__(self, n_clusters: int, dim: int, largest: float) -> None:
        step = 2.0 ** (math.frexp(max(largest, np.finfo(np.float32).tiny))[1] - _MANTISSA)
        self._rounder = 1.5 * 2.0**52 * step  # x + this - this is x on the grid
        self._values = np.zeros((n_clusters, dim))
        self._counts = np.zeros(n_clusters, np.int64)
        self.values, self.counts = self._values, self._counts

    def move(self, vectors: F32, before: I64, after: I64) -> None:
        """Take ``vectors`` [n, D] out of the clusters ``before`` [n], -1 for none, and add them to ``after`` [n]."""
        on_grid = (vectors.astype(np.float64) + self._rounder) - self._rounder
        for clusters, sign in ((before, -1), (after, 1)):
            inside = clusters >= 0
            found, place = np.unique(clusters[inside], return_inverse=True)
            self._values[found] += sign * (_one_hot(place, len(found)).T @ on_grid[inside])
            self._counts += sign * np.bincount(clusters[inside], minlength=len(self._counts))

    def gather(self) -> None:
        """Add up what all processes have; each must call it."""
        self.values, self.counts = total(self._values), total(self._counts)


def _one_hot(place: npt.NDArray[np.intp], n: int) -> csr_array:
    """[len(place), n], with a 1 in each row."""
    return csr_array((np.ones(len(place)), place, np.arange(len(place) + 1)), shape=(len(place), n))
