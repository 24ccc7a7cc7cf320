"""The registry of audit metrics, each with when it is defined; undefined is a reason, never 0.

Two kinds. A ``MeanMetric`` is the mean of one value a film over the films that count (sensitivity:
"called" over the films with the finding; Brier, Dice, …). ``Auroc`` is the mean over pairs of a
positive and a negative film. A third party registers a MeanMetric in ``raydino.audit_metrics``.
Definitions of rates follow fairlearn.metrics (true_positive_rate, false_positive_rate), which the
tests hold them to. Neighbours: ``auroc`` (ranks), ``replicates`` (bootstrap), ``gaps``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from bias_audit.auroc import auroc
from raydino.registry import Registry

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Need = Literal["positive", "negative", "called"]
Better = Literal["higher", "lower"]
Labels = Literal["any", "findings", "no_finding"]


@dataclass(frozen=True)
class Rows:
    """Films with a known answer for one label; all [n]. Segmentation has only ``value``."""

    target: Floats  # 1 or 0
    score: Floats  # 0..1
    called: Bools  # score >= threshold
    dice: Floats  # 0..1, NaN in classification

    def take(self, index: npt.NDArray[np.int64] | Bools) -> Rows:
        """The rows at ``index``."""
        return Rows(self.target[index], self.score[index], self.called[index], self.dice[index])


@dataclass(frozen=True)
class _Metric:
    name: str
    title: str
    meaning: str  # one line that a clinician reads
    better: Better | None  # None: described in every stratum, but no gap is tested
    needs: frozenset[Need] = frozenset()
    task: Literal["classification", "segmentation"] = "classification"
    thresholded: bool = False  # whether it depends on who is called positive
    labels: Labels = "any"  # "no_finding": only of the label that calls a film healthy; "findings": of all others

    def defined_for(self, n_pos: int, n_neg: int, n_called: int = 1) -> str | None:
        """None where the metric is defined, else why it is not."""
        if "positive" in self.needs and n_pos == 0:
            return "no film with the finding"
        if "negative" in self.needs and n_neg == 0:
            return "every film has the finding"
        if "called" in self.needs and n_called == 0:
            return "no film is called positive"
        return None


@dataclass(frozen=True)
class MeanMetric(_Metric):
    """The mean of ``values(rows)`` [n] over the films where it is not NaN; ``binary``: values are 0 or 1."""

    values: Callable[[Rows], Floats] = lambda rows: rows.target
    binary: bool = True

    def __call__(self, rows: Rows) -> float:
        """The point estimate; NaN where no film counts."""
        values = self.values(rows)
        counted = values[~np.isnan(values)]
        return float(counted.mean()) if len(counted) else float("nan")


@dataclass(frozen=True)
class Auroc(_Metric):
    """Probability that a film with the finding scores above one without; a tie counts one half."""

    binary: bool = True

    def __call__(self, rows: Rows) -> float:
        """The point estimate; NaN with one class."""
        return auroc(rows.score, rows.target > 0)


Metric = MeanMetric | Auroc


def _among(mask: Bools, values: npt.NDArray[np.bool_] | Floats) -> Floats:
    return np.where(mask, values.astype(np.float64), np.nan)


AUROC = Auroc(
    "auroc",
    "AUROC",
    "chance that a film with the finding scores higher than one without; no threshold involved",
    "higher",
    frozenset({"positive", "negative"}),
)
SENSITIVITY = MeanMetric(
    "sensitivity",
    "Sensitivity",
    "share of films with the finding that are called positive",
    "higher",
    frozenset({"positive"}),
    thresholded=True,
    values=lambda rows: _among(rows.target == 1, rows.called),
)
SPECIFICITY = MeanMetric(
    "specificity",
    "Specificity",
    "share of films without the finding that are called negative",
    "higher",
    frozenset({"negative"}),
    labels="findings",
    thresholded=True,
    values=lambda rows: _among(rows.target == 0, ~rows.called),
)
UNDERDIAGNOSIS_RATE = MeanMetric(
    "underdiagnosis_rate",
    "Underdiagnosis rate",
    "share of films with disease that are called healthy: false positives of the no-finding label",
    "lower",
    frozenset({"negative"}),
    labels="no_finding",
    thresholded=True,
    values=lambda rows: _among(rows.target == 0, rows.called),
)
PPV = MeanMetric(
    "ppv",
    "Positive predictive value",
    "share of films called positive that have the finding; falls with prevalence, so no gap is tested",
    None,
    frozenset({"called"}),
    thresholded=True,
    values=lambda rows: _among(rows.called, rows.target),
)
BRIER = MeanMetric(
    "brier",
    "Brier score",
    "mean squared difference of score and truth; moves with prevalence, so no gap is tested",
    None,
    values=lambda rows: (rows.score - rows.target) ** 2,
    binary=False,
)
PREVALENCE = MeanMetric(
    "prevalence",
    "Prevalence",
    "share of films with the finding; of the cohort, not of the model",
    None,
    values=lambda rows: rows.target,
)
DICE = MeanMetric(
    "dice",
    "Dice",
    "overlap of the predicted with the reference mask, 1 is perfect",
    "higher",
    task="segmentation",
    values=lambda rows: rows.dice,
    binary=False,
)

METRICS = Registry(
    "audit metric",
    "raydino.audit_metrics",
    {
        metric.name: f"bias_audit.metrics:{metric.name.upper()}"
        for metric in (AUROC, SENSITIVITY, SPECIFICITY, UNDERDIAGNOSIS_RATE, PPV, BRIER, PREVALENCE, DICE)
    },
)


@cache
def metric_named(name: str) -> Metric:
    """The registered metric; looked up once, since the report asks for every row."""
    return METRICS.get(name)


def same_label(a: str, b: str) -> bool:
    """Whether two labels are the same but for case, spaces, hyphens and underscores."""
    return _plain(a) == _plain(b)


def _plain(label: str) -> str:
    return " ".join(label.replace("_", " ").replace("-", " ").casefold().split())


def metrics_for(
    names: tuple[str, ...], task: str, label: str, no_finding: str, *, has_threshold: bool = True
) -> list[Metric]:
    """The metrics among ``names`` that apply to ``label`` of ``task``."""
    healthy = same_label(label, no_finding)
    chosen = [metric_named(name) for name in names]
    unwanted = "findings" if healthy else "no_finding"
    applies = [metric for metric in chosen if metric.task == task and metric.labels != unwanted]
    return [metric for metric in applies if has_threshold or not metric.thresholded]
