"""What an estimate consists of, and its interval in a stratum or in everyone else.

Most metrics are a mean over films, or (AUROC) the joint mean of two classes' placements. ``Part``
holds one such mean: how far its films spread, how alike films of one patient are, and how many films of how many
patients count. Neighbours: ``intervals`` (the formulas), ``gaps`` and ``audit`` (callers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bias_audit.intervals import (
    effective_films,
    intracluster_correlation,
    mean_interval,
    percentile_interval,
    wilson_interval,
)
from bias_audit.metrics import UNIT, Metric
from bias_audit.rows import Bools, Floats, LabelRows


@dataclass(frozen=True)
class Part:
    """Films whose mean value or placement makes up a metric."""

    variance: float  # of one film's value, pooled over everyone
    correlation: float  # between films of one patient, pooled, 0..1
    films: Floats  # [strata] that count
    squares: Floats  # [strata] sum over patients of (films inside)²
    shared: Floats  # [strata] sum over patients of films inside × films outside

    def rest(self) -> Part:
        """The same of everyone else."""
        squares = self.squares[0] - 2 * self.shared - self.squares
        return Part(self.variance, self.correlation, self.films[0] - self.films, squares, self.shared)

    def of(self, strata: Bools) -> Part:
        """The same of some strata."""
        return Part(self.variance, self.correlation, *(a[strata] for a in (self.films, self.squares, self.shared)))

    def effective(self) -> Floats:
        """[strata] number of independent films that would weigh the same."""
        return effective_films(self.films, self.squares, self.correlation)


def parts_of(data: LabelRows, metric: Metric) -> list[Part]:
    """One part for a mean, two (films with the finding, films without) for an AUROC, none for other metrics."""
    return [_part(data, values) for values in metric.parts(data.rows)]


def _part(data: LabelRows, values: Floats) -> Part:
    counted = ~np.isnan(values)
    residual = values[counted] - values[counted].mean() if counted.any() else values[counted]
    variance = float((residual**2).sum() / max(len(residual) - 1, 1))
    correlation = intracluster_correlation(residual, data.patient[counted])
    sums = data.patient_sums(counted.astype(np.float64))
    everyone = sums[[0]].toarray()[0]
    films, squares, products = (
        np.add.reduceat(np.append(v, 0.0), sums.indptr[:-1]) * (np.diff(sums.indptr) > 0)
        for v in (sums.data, sums.data**2, sums.data * everyone[sums.indices])
    )
    return Part(variance, correlation, films, squares, products - squares)


def independent_films(parts: Sequence[Part], everyone: float) -> Floats:
    """[strata] number of independent yes-or-no films that would know the metric as well as these do.

    ``everyone``: the metric over everyone, 0..1. A share has variance p (1 - p) / n; this solves for n.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = sum(part.variance / part.effective() for part in parts)
        spread = everyone * (1 - everyone)
        # all right or all wrong over everyone: no spread to learn from, so count the films themselves
        return np.asarray(spread / variance if spread > 0 else np.min([part.effective() for part in parts], axis=0))


def interval_of(
    replicates: Floats, parts: Sequence[Part], everyone: float, metric: Metric, confidence: float
) -> tuple[Floats, Floats]:
    """[strata, 1 + B] → lower and upper ends [strata] within the metric's limits."""
    if not parts:
        low, high = percentile_interval(replicates[:, 1:], confidence)
    elif metric.limits == UNIT:
        small_low, small_high = wilson_interval(replicates[:, 0], independent_films(parts, everyone), confidence)
        low, high = percentile_interval(replicates[:, 1:], confidence)
        low, high = np.fmin(low, small_low), np.fmax(high, small_high)
    else:
        [part] = parts
        low, high = mean_interval(replicates[:, 0], part.variance, part.effective(), confidence)
    return np.clip(low, *metric.limits), np.clip(high, *metric.limits)
