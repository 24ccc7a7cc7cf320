"""Figures of yes/no decisions and of scores. Undefined is None with a reason, never a number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """The four cells of decisions against the truth, over films whose truth is known."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, target: Floats, decision: npt.NDArray[np.bool_]) -> Counts:
        """``target`` holds 1, 0 and NaN (left out)."""
        positive, negative = target == 1, target == 0
        return cls(
            int((positive & decision).sum()),
            int((negative & decision).sum()),
            int((positive & ~decision).sum()),
            int((negative & ~decision).sum()),
        )

    @property
    def sensitivity(self) -> float | None:
        """True positives among positives."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float | None:
        """True negatives among negatives."""
        return _ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def f1(self) -> float | None:
        """2·TP / (2·TP + FP + FN); None when nothing is positive and nothing is called positive."""
        return _ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def accuracy(self) -> float | None:
        """Right decisions among all."""
        right, wrong = self.true_positive + self.true_negative, self.false_positive + self.false_negative
        return _ratio(right, right + wrong)

    @property
    def balanced_accuracy(self) -> float | None:
        """The mean of sensitivity and specificity; 0.5 for any constant decision."""
        if self.sensitivity is None or self.specificity is None:
            return None
        return (self.sensitivity + self.specificity) / 2


def auroc(target: Floats, score: Floats) -> float | None:
    """Area under the ROC curve over films whose target is known; None when only one class is there."""
    known = np.isfinite(target)
    if len(np.unique(target[known])) < 2:
        return None
    return float(roc_auc_score(target[known], score[known]))


def brier(target: Floats, probability: Floats) -> float | None:
    """Mean squared difference of probability and truth over films whose target is known; None without one."""
    known = np.isfinite(target)
    return float(np.mean((probability[known] - target[known]) ** 2)) if known.any() else None


def expected_calibration_error(target: Floats, probability: Floats, *, n_bins: int = 10) -> float | None:
    """Mean over films of |mean probability - share of positives| in the film's bin (Naeini 2015); None without one.

    Bins of equal width with their upper ends, as in the audit and in scikit-learn's calibration_curve.
    """
    known = np.isfinite(target)
    if not known.any():
        return None
    place = np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], probability[known], side="left")
    off = np.bincount(place, probability[known] - target[known], minlength=n_bins)
    return float(np.abs(off).sum() / known.sum())


def one_class_reason(target: Floats) -> str | None:
    """Why a figure that needs both classes is undefined, or None when it is defined."""
    n_positive, n_negative = int((target == 1).sum()), int((target == 0).sum())
    if n_positive and n_negative:
        return None
    return f"{n_positive} positive and {n_negative} negative films"


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of what is defined, None when nothing is."""
    defined = [v for v in values if v is not None]
    return float(np.mean(defined)) if defined else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
