"""Rates of the two-by-two table at an operating point fixed beforehand, and what is decided with them.

Names and definitions as in fairlearn.metrics; net benefit as Vickers and Elkin (2006). Neighbours: ``sums``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bias_audit.metrics import Task
from bias_audit.rows import Floats, Rows
from bias_audit.sums import MeanMetric, SumMetric, among, share

CALLS: frozenset[Task] = frozenset({"classification", "report"})  # a report's mention is a call


def _net_benefit(rows: Rows) -> Floats:
    odds = np.divide(
        rows.threshold, 1 - rows.threshold, out=np.full(len(rows.target), np.inf), where=rows.threshold < 1
    )
    false_alarm = rows.called & (rows.target == 0)
    return (rows.called & (rows.target == 1)) - np.where(false_alarm, odds, 0.0)


SENSITIVITY = MeanMetric(
    "sensitivity",
    "Sensitivity",
    "share of films with the finding that are called positive",
    "higher",
    frozenset({"positive"}),
    CALLS,
    thresholded=True,
    values=lambda rows: among(rows.target == 1, rows.called),
)
SPECIFICITY = MeanMetric(
    "specificity",
    "Specificity",
    "share of films without the finding that are called negative",
    "higher",
    frozenset({"negative"}),
    CALLS,
    labels="findings",
    thresholded=True,
    values=lambda rows: among(rows.target == 0, ~rows.called),
)
UNDERDIAGNOSIS_RATE = MeanMetric(
    "underdiagnosis_rate",
    "Underdiagnosis rate",
    "share of films with disease that are called healthy: false positives of the no-finding label",
    "lower",
    frozenset({"negative"}),
    CALLS,
    labels="no_finding",
    thresholded=True,
    values=lambda rows: among(rows.target == 0, rows.called),
)
FNR = MeanMetric(
    "fnr",
    "False negative rate",
    "share of films with the finding that are missed: one minus sensitivity, whose gap is tested",
    "lower",
    frozenset({"positive"}),
    CALLS,
    thresholded=True,
    mirror_of="sensitivity",
    values=lambda rows: among(rows.target == 1, ~rows.called),
)
FPR = MeanMetric(
    "fpr",
    "False positive rate",
    "share of films without the finding that are called positive: one minus specificity, whose gap is tested",
    "lower",
    frozenset({"negative"}),
    CALLS,
    labels="findings",
    thresholded=True,
    mirror_of="specificity",
    values=lambda rows: among(rows.target == 0, rows.called),
)
PPV = MeanMetric(
    "ppv",
    "Positive predictive value",
    "share of films called positive that have the finding; falls with prevalence, so no gap is tested",
    "higher",
    frozenset({"called"}),
    CALLS,
    thresholded=True,
    prevalence_free=False,
    values=lambda rows: among(rows.called, rows.target),
)
NPV = MeanMetric(
    "npv",
    "Negative predictive value",
    "share of films called negative that lack the finding; rises as prevalence falls, so no gap is tested",
    "higher",
    frozenset({"cleared"}),
    CALLS,
    thresholded=True,
    prevalence_free=False,
    values=lambda rows: among(~rows.called, rows.target == 0),
)
SELECTION_RATE = MeanMetric(
    "selection_rate",
    "Selection rate",
    "share of films that are called positive, rightly or not; moves with prevalence, so no gap is tested",
    None,
    tasks=CALLS,
    thresholded=True,
    prevalence_free=False,
    values=lambda rows: rows.called.astype(np.float64),
)
AGREEMENT = MeanMetric(
    "agreement",
    "Agreement",
    "share of films in which the report says of the finding what the labels say; moves with prevalence",
    "higher",
    tasks=frozenset({"report"}),
    thresholded=True,
    prevalence_free=False,
    values=lambda rows: (rows.called == (rows.target == 1)).astype(np.float64),
)
NET_BENEFIT = MeanMetric(
    "net_benefit",
    "Net benefit",
    "true positives less false positives weighed by the odds of the threshold, a film; moves with prevalence",
    "higher",
    thresholded=True,
    prevalence_free=False,
    limits=(-np.inf, 1.0),
    values=_net_benefit,
    binary=False,
)
PREVALENCE = MeanMetric(
    "prevalence",
    "Prevalence",
    "share of films with the finding; of the cohort, not of the model",
    None,
    tasks=CALLS,
    prevalence_free=False,
    values=lambda rows: rows.target,
)


@dataclass(frozen=True)
class BalancedAccuracy(SumMetric):
    """Half of sensitivity and half of specificity."""

    def columns(self, rows: Rows) -> Sequence[Floats]:
        """Positives, those called; negatives, those cleared."""
        positive = rows.target == 1
        masks = (positive, positive & rows.called, ~positive, ~positive & ~rows.called)
        return [mask.astype(np.float64) for mask in masks]

    def combine(self, sums: Floats) -> Floats:
        """The mean of both shares."""
        return (share(sums[1], sums[0]) + share(sums[3], sums[2])) / 2

    def parts(self, rows: Rows) -> tuple[Floats, ...]:
        """Each class's share, halved: the metric is their sum."""
        return among(rows.target == 1, rows.called) / 2, among(rows.target == 0, ~rows.called) / 2


BALANCED_ACCURACY = BalancedAccuracy(
    "balanced_accuracy",
    "Balanced accuracy",
    "mean of sensitivity and specificity",
    "higher",
    frozenset({"positive", "negative"}),
    CALLS,
    thresholded=True,
)
