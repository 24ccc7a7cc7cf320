"""What an estimate consists of, and its interval in a stratum or in whom the stratum is compared with.

Most metrics are a mean over films, or (AUROC) the sum of two classes' mean placements. ``Makeup`` holds these means:
how far films spread, how films of one patient move together, also across the two classes (a patient
whose films all score high helps one class and harms the other, so leaving that out would make
AUROC look less certain than it is; Obuchowski 1997), and how many films of which patients count.
Neighbours: ``intervals`` (the formulas), ``gaps`` and ``label`` (callers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bias_audit.intervals import (
    bootstrap_variance,
    mean_interval,
    student_factor,
    wilson_interval,
    within_patients,
)
from bias_audit.metrics import UNIT, Metric
from bias_audit.rows import Bools, Floats, Ints, LabelRows, Sparse


@dataclass(frozen=True)
class Side:
    """Films of each stratum, or of whom it is compared with, that count for the k means of a metric."""

    own: Floats  # [k] variance of one film's value beside what it shares with films of its patient; pooled
    together: Floats  # [k, k] covariance of two films of a patient; pooled over everyone
    films: Floats  # [k, strata]
    products: Floats  # [k, k, strata] sum over patients of films × films
    shared: Floats  # [k, k, strata] the same of films inside the stratum × films of this side

    def at(self, strata: Bools) -> Side:
        """The same of some strata."""
        counts = (self.films, self.products, self.shared)
        return Side(self.own, self.together, *(a[..., strata] for a in counts))

    def variance(self) -> Floats:
        """[strata] of the metric."""
        with np.errstate(divide="ignore", invalid="ignore"):
            clustered = self.products / (self.films[:, None] * self.films[None])
            return np.asarray(
                np.einsum("i,is->s", self.own, 1 / self.films) + np.einsum("ij,ijs->s", self.together, clustered)
            )

    def effective(self) -> Floats:
        """[strata] number of independent films whose mean would be as uncertain; the films where nothing varies."""
        spread = self.own[0] + self.together[0, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(spread > 0, spread / self.variance(), self.films.min(axis=0))


@dataclass(frozen=True)
class Makeup:
    """The k means that make up a metric: one, or two for an AUROC."""

    own: Floats
    together: Floats
    sums: tuple[Sparse, ...]  # k of [strata, patients]: films that count

    @cached_property
    def inside(self) -> Side:
        """The strata themselves."""
        products = self._products(self.sums)
        return Side(self.own, self.together, np.array([_row_sums(m) for m in self.sums]), products, products)

    @cached_property
    def rest(self) -> Side:
        """Everyone else."""
        inside = self.inside
        everyone = [m[[0]].toarray()[0] for m in self.sums]
        with_everyone = np.array([[m @ other for other in everyone] for m in self.sums])
        films = inside.films[:, :1] - inside.films
        products = inside.products[..., :1] - with_everyone - with_everyone.swapaxes(0, 1) + inside.products
        return Side(self.own, self.together, films, products, with_everyone - inside.products)

    def of(self, reference: Ints) -> Side:
        """The stratum ``reference`` [strata] of each stratum."""
        inside = self.inside
        shared = self._products([m[reference] for m in self.sums])
        return Side(self.own, self.together, inside.films[:, reference], inside.products[..., reference], shared)

    def _products(self, others: Sequence[Sparse]) -> Floats:
        return np.array([[_row_sums(m.multiply(other)) for other in others] for m in self.sums])


def _row_sums(sums: Sparse) -> Floats:
    return np.asarray(sums.sum(axis=1), np.float64).ravel()


def makeup_of(data: LabelRows, metric: Metric) -> Makeup | None:
    """None for metrics that are no means of films."""
    parts = metric.parts(data.rows)
    if not parts:
        return None
    variance, together = within_patients(parts, data.patient)
    sums = tuple(data.patient_sums((~np.isnan(values)).astype(np.float64)) for values in parts)
    return Makeup(variance - np.diag(together), together, sums)


def independent_films(side: Side, everyone: float) -> Floats:
    """[strata] number of independent yes-or-no films that would know the metric as well as these do.

    ``everyone``: the metric over everyone, 0..1. A share has variance p (1 - p) / n; this solves for n.
    """
    spread = everyone * (1 - everyone)
    variance = side.variance()
    # all right or all wrong over everyone: no spread to learn from, so count the films themselves
    counted = np.where(
        (variance > 0) & (spread > 0), spread / np.where(variance > 0, variance, 1), side.films.min(axis=0)
    )
    return np.asarray(counted, np.float64)


def interval_of(
    replicates: Floats, side: Side | None, patients: Ints, everyone: float, metric: Metric, confidence: float
) -> tuple[Floats, Floats]:
    """[strata, 1 + B] → lower and upper ends [strata] within the metric's limits; see ``intervals``.

    ``patients`` [strata]: in the smallest class that the metric needs; asked for where there is no ``side``.
    """
    estimate, variance = replicates[:, 0], bootstrap_variance(replicates[:, 1:])
    if side is None:
        variance = variance * patients / np.maximum(patients - 1, 1)
    if metric.limits == UNIT:
        wider = 1.0 if side is not None else student_factor(patients, confidence)
        with np.errstate(divide="ignore", invalid="ignore"):
            films = np.where(variance > 0, estimate * (1 - estimate) / (variance * wider), np.inf if side else patients)
        films = films if side is None else np.fmin(films, independent_films(side, everyone))
        low, high = wilson_interval(estimate, films, confidence)
    elif side is not None:
        low, high = mean_interval(estimate, np.fmax(variance, side.variance()), side.effective(), confidence)
    else:
        low, high = mean_interval(estimate, variance, patients.astype(np.float64), confidence)
    return np.clip(low, *metric.limits), np.clip(high, *metric.limits)
