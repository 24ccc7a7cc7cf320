"""Every metric in every stratum and in everyone else, for all bootstrap replicates of one label.

Cost is linear in films for an AUROC too: with U(a, b) the weighted count of pairs "positive of a
above negative of b", the rest r of stratum s has U(r, r) = U(all, all) - U(s, all) - U(all, s) + U(s, s), so nobody
counts the rest. Replicates come in blocks, so memory does not grow with their number.
Neighbours: ``auroc`` (ranks), ``intervals`` (multiplicities), ``gaps`` and ``audit`` (callers).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bias_audit.auroc import Ranks
from bias_audit.metrics import Auroc, Bools, Floats, MeanMetric, Metric, Rows

Ints = npt.NDArray[np.int64]
Weights = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class LabelRows:
    """Films with a known answer for one label, in order of score."""

    rows: Rows  # [n]
    patient: Ints  # [n], row of the multiplicities
    member: Ints  # [n, partitions], stratum of each film in each partition
    strata: int  # number of strata over all partitions; stratum 0 is everyone

    def without(self, stratum: int) -> LabelRows:
        """The rows outside one stratum."""
        keep = ~(self.member == stratum).any(axis=1)
        return LabelRows(self.rows.take(keep), self.patient[keep], self.member[keep], self.strata)

    def inside(self, stratum: int) -> Bools:
        """[n], whether a film lies in the stratum."""
        return (self.member == stratum).any(axis=1)

    def patient_sums(self, values: Floats) -> Floats:
        """[n] → [strata, patients]: sum over the films of a patient in a stratum; NaN counts as 0.

        Patients are those of these rows, numbered by ``np.unique(self.patient)``.
        """
        present, local = np.unique(self.patient, return_inverse=True)
        cell = self.member * len(present) + local[:, None]
        filled = np.broadcast_to(np.nan_to_num(values)[:, None], cell.shape)
        flat = np.bincount(cell.ravel(), filled.ravel(), minlength=self.strata * len(present))
        return flat.astype(np.float64).reshape(self.strata, len(present))


@dataclass(frozen=True)
class Replicates:
    """[strata, 1 + B] of one metric in each stratum and in everyone else; column 0 is the sample itself."""

    inside: Floats
    rest: Floats


def replicate_all(
    data: LabelRows, metrics: Sequence[Metric], weights: Weights, wanted: Bools, block: int
) -> dict[str, Replicates]:
    """Replicates of each metric by name. ``weights`` [patients, 1 + B]; AUROC only of strata ``wanted`` [strata]."""
    result = {
        m.name: Replicates(*(np.full((data.strata, weights.shape[1]), np.nan) for _ in range(2))) for m in metrics
    }
    means = [metric for metric in metrics if isinstance(metric, MeanMetric)]
    areas = [metric for metric in metrics if isinstance(metric, Auroc)]
    sums = [_numerator_and_films(data, metric) for metric in means]
    pairs = _Pairs(data, wanted) if areas else None
    present = np.unique(data.patient)
    for columns in _blocks(weights.shape[1], block):
        drawn = weights[present, columns].astype(np.float32)
        for metric, (numerator, films) in zip(means, sums, strict=True):
            inside, rest = _mean(numerator @ drawn, films @ drawn)
            result[metric.name].inside[:, columns] = inside
            result[metric.name].rest[:, columns] = rest
        for area in areas:
            assert pairs is not None
            inside, rest = pairs.areas(weights[:, columns].astype(np.float32))
            result[area.name].inside[:, columns] = inside
            result[area.name].rest[:, columns] = rest
    return result


def _blocks(columns: int, block: int) -> Iterator[slice]:
    return (slice(start, min(start + block, columns)) for start in range(0, columns, block))


def _numerator_and_films(
    data: LabelRows, metric: MeanMetric
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    values = metric.values(data.rows)
    counts = data.patient_sums((~np.isnan(values)).astype(np.float64))
    return data.patient_sums(values).astype(np.float32), counts.astype(np.float32)


def _mean(numerator: npt.NDArray[np.float32], films: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    return _share(numerator, films), _share(numerator[:1] - numerator, films[:1] - films)


def _share(part: npt.NDArray[np.floating], whole: npt.NDArray[np.floating]) -> Floats:
    wide = np.asarray(whole, np.float64)
    return np.divide(np.asarray(part, np.float64), wide, out=np.full(wide.shape, np.nan), where=wide > 0)


class _Pairs:
    """Sorted positives and negatives of a label, and where those of each wanted stratum lie among them."""

    def __init__(self, data: LabelRows, wanted: Bools) -> None:
        positive = data.rows.target == 1
        self.strata = data.strata
        self.pos_patient, self.neg_patient = data.patient[positive], data.patient[~positive]
        pos, neg = data.rows.score[positive], data.rows.score[~positive]
        self.ranks, self.reverse = Ranks.of(pos, neg), Ranks.of(neg, pos)
        self.cells: list[tuple[int, Ints, Ints, Ranks]] = []
        for stratum in np.flatnonzero(wanted):
            inside = data.inside(int(stratum))
            p, n = np.flatnonzero(inside[positive]), np.flatnonzero(inside[~positive])
            self.cells.append((int(stratum), p, n, Ranks.of(pos[p], neg[n])))

    def areas(self, drawn: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
        """[patients, b] multiplicities → AUROC [strata, b] inside each wanted stratum and in the rest."""
        w_pos, w_neg = drawn[self.pos_patient], drawn[self.neg_patient]
        all_pos, all_neg = _sum(w_pos), _sum(w_neg)
        of_pos = w_pos * self.ranks.weight_below(w_neg)  # exact: multiplicities and their halves are small
        of_neg = w_neg * (all_pos.astype(np.float32) - self.reverse.weight_below(w_pos))
        u_all = _sum(of_pos)
        inside = np.full((self.strata, drawn.shape[1]), np.nan)
        rest = inside.copy()
        for stratum, p, n, ranks in self.cells:
            pos, neg = w_pos[p], w_neg[n]
            n_pos, n_neg = _sum(pos), _sum(neg)
            u_in = _sum(pos * ranks.weight_below(neg))
            u_rest = u_all - _sum(of_pos[p]) - _sum(of_neg[n]) + u_in
            inside[stratum] = _share(u_in, n_pos * n_neg)
            rest[stratum] = _share(u_rest, (all_pos - n_pos) * (all_neg - n_neg))
        return inside, rest


def _sum(values: npt.NDArray[np.float32]) -> Floats:
    return values.sum(axis=0, dtype=np.float64)
