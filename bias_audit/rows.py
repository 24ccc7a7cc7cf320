"""The films of one label, and sums over them by stratum; what every metric is computed from.

Films that lie in the same stratum of every axis form a *cell*. Whatever adds up over films is summed by
cell first and by stratum after, so it costs the same for two axes and for twenty. Sums by patient are sparse: most
patients lie in few strata. Neighbours: ``metrics`` (what is asked of rows), ``replicates`` (the bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Sparse = Any  # scipy.sparse.csr_array; scipy has no types


@dataclass(frozen=True)
class Rows:
    """Films with a known answer for one label; all [n]."""

    target: Floats  # 1 or 0; 1 in segmentation
    score: Floats  # 0..1
    threshold: Floats  # 0..1, NaN where the label has no operating point
    measured: Mapping[str, Floats] = field(default_factory=dict)  # dice, hd95_mm, …; NaN where there is none

    @cached_property
    def called(self) -> Bools:
        """Whether the score is at or above the threshold."""
        return self.score >= self.threshold

    def take(self, index: Ints | Bools) -> Rows:
        """The rows at ``index``."""
        measured = {name: values[index] for name, values in self.measured.items()}
        return Rows(self.target[index], self.score[index], self.threshold[index], measured)


@dataclass(frozen=True)
class Cells:
    """The cells that hold a film: ``of_film`` [n] → cell, and ``in_strata`` [strata, cells] of zeros and ones."""

    of_film: Ints
    in_strata: Sparse

    def __len__(self) -> int:
        return int(self.in_strata.shape[1])


@dataclass(frozen=True)
class LabelRows:
    """Films with a known answer for one label, in order of score."""

    rows: Rows  # [n]
    patient: Ints  # [n], row of the multiplicities
    member: Ints  # [n, partitions], stratum of each film in each partition
    strata: int  # number of strata over all partitions; stratum 0 is everyone
    weight: Floats | None = None  # [n] what a film counts, None for one each

    def weights(self, films: Ints | slice = slice(None)) -> Floats:
        """What each of ``films`` counts."""
        return np.ones(len(self.patient))[films] if self.weight is None else self.weight[films]

    def without(self, stratum: int) -> LabelRows:
        """The rows outside one stratum."""
        keep = ~self.inside(stratum)
        weight = None if self.weight is None else self.weight[keep]
        return LabelRows(self.rows.take(keep), self.patient[keep], self.member[keep], self.strata, weight)

    def inside(self, stratum: int) -> Bools:
        """[n], whether a film lies in the stratum."""
        return (self.member == stratum).any(axis=1)

    @cached_property
    def _by_stratum(self) -> list[Ints]:
        flat = self.member.ravel()
        order = np.argsort(flat, kind="stable")
        ends = np.cumsum(np.bincount(flat, minlength=self.strata))[:-1]
        return [films // self.member.shape[1] for films in np.split(order, ends)]

    def films_of(self, stratum: int) -> Ints:
        """The films of a stratum, rising. Found for all strata at once."""
        return self._by_stratum[stratum]

    @cached_property
    def cells(self) -> Cells:
        """Films told apart by all axes at once."""
        cell, of_film = np.unique(self.member, axis=0, return_inverse=True)
        number = np.repeat(np.arange(len(cell)), cell.shape[1])
        in_strata = sparse.csr_array(
            (np.ones(cell.size), (cell.ravel(), number)), shape=(self.strata, max(len(cell), 1))
        )
        return Cells(of_film.reshape(-1).astype(np.int64), in_strata)

    def patient_sums(self, values: Floats) -> Sparse:
        """[n] → sparse [strata, patients]: sum over the films of a patient in a stratum; zeros are not stored."""
        at = np.flatnonzero(values)
        partitions = self.member.shape[1]
        return sparse.csr_array(
            (np.repeat(values[at], partitions), (self.member[at].ravel(), np.repeat(self.patient[at], partitions))),
            shape=(self.strata, self.patients),
        )

    @property
    def patients(self) -> int:
        """One more than the largest patient number."""
        return int(self.patient.max()) + 1 if len(self.patient) else 0

    def cell_sums(self, columns: Sequence[Floats]) -> Sparse:
        """k columns [n] → sparse [k × cells, patients]: weighted sum over a patient's films in a cell, by column."""
        cells = self.cells
        rows, patients, values = [], [], []
        for k, column in enumerate(columns):
            at = np.flatnonzero(column)
            rows.append(k * len(cells) + cells.of_film[at])
            patients.append(self.patient[at])
            values.append(column[at] * self.weights(at))
        return sparse.csr_array(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(patients))),
            shape=(len(columns) * len(cells), self.patients),
        )


def measured_column(name: str) -> Callable[[Rows], Floats]:
    """What a metric of the measured column ``name`` takes of each film."""
    return lambda rows: rows.measured[name]
