"""What an estimate consists of, and its interval in a stratum or in everyone else.

Each metric is a mean over films, or (AUROC) the joint mean of two classes' placements. ``Part``
holds one such mean: how far its films spread, how alike films of one patient are, and how many films of each
patient count. Neighbours: ``intervals`` (the formulas), ``gaps`` and ``audit`` (callers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bias_audit.auroc import placements
from bias_audit.intervals import (
    effective_films,
    intracluster_correlation,
    percentile_interval,
    wilson_interval,
)
from bias_audit.metrics import Floats, MeanMetric, Metric
from bias_audit.replicates import LabelRows


@dataclass(frozen=True)
class Part:
    """Films whose mean value or placement makes up a metric."""

    variance: float  # of one film's value, pooled over everyone
    correlation: float  # between films of one patient, pooled, 0..1
    per_patient: Floats  # [strata, patients] films that count

    def rest(self) -> Part:
        """The same of everyone else."""
        return Part(self.variance, self.correlation, self.per_patient[:1] - self.per_patient)

    def effective(self) -> Floats:
        """[strata] number of independent films that would weigh the same."""
        return effective_films(self.per_patient, self.correlation)


def parts_of(data: LabelRows, metric: Metric) -> list[Part]:
    """One part for a MeanMetric, two (films with the finding, films without) for an AUROC."""
    if isinstance(metric, MeanMetric):
        return [_part(data, metric.values(data.rows))]
    positive = data.rows.target == 1
    share = placements(data.rows.score, positive)
    return [_part(data, np.where(mask, share, np.nan)) for mask in (positive, ~positive)]


def _part(data: LabelRows, values: Floats) -> Part:
    counted = ~np.isnan(values)
    residual = values[counted] - values[counted].mean()
    variance = float((residual**2).sum() / max(len(residual) - 1, 1))
    correlation = intracluster_correlation(residual, data.patient[counted])
    return Part(variance, correlation, data.patient_sums(counted.astype(np.float64)))


def independent_films(parts: Sequence[Part], everyone: float) -> Floats:
    """[strata] number of independent yes-or-no films that would know the metric as well as these do.

    ``everyone``: the metric over everyone, 0..1. A share has variance p (1 - p) / n; this solves for n.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = sum(part.variance / part.effective() for part in parts)
        spread = everyone * (1 - everyone)
        # all right or all wrong over everyone: no spread to learn from, so count the films themselves
        return np.asarray(spread / variance if spread > 0 else np.min([part.effective() for part in parts], axis=0))


def interval_of(replicates: Floats, parts: Sequence[Part], everyone: float, confidence: float) -> tuple[Floats, Floats]:
    """[strata, 1 + B] → lower and upper ends [strata] within 0..1.

    Either end is the wider of the percentile interval and Wilson's on the number of independent films.
    """
    low, high = percentile_interval(replicates[:, 1:], confidence)
    small_low, small_high = wilson_interval(replicates[:, 0], independent_films(parts, everyone), confidence)
    return np.clip(np.fmin(low, small_low), 0, 1), np.clip(np.fmax(high, small_high), 0, 1)
