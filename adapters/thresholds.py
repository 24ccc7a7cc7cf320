"""Operating points, chosen on validation films only; a score at or above the threshold is positive."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.stats import mannwhitneyu

from raydino.config import Config

Floats = npt.NDArray[np.float64]
DICE_GRID: Floats = np.linspace(0.05, 0.95, 19)
LEVEL = 0.05  # of the test whether scores separate, shared among an adapter's labels


class Youden(Config):
    """Largest sensitivity + specificity."""

    kind: Literal["youden"] = "youden"

    def threshold(self, target: Floats, score: Floats) -> float | None:
        """Of films whose target is known (1, 0), both at least once."""
        return youden(target, score)


class AtSensitivity(Config):
    """The highest threshold that still calls the share ``at`` of the positive films."""

    kind: Literal["sensitivity"]
    at: float = Field(gt=0, le=1)

    def threshold(self, target: Floats, score: Floats) -> float | None:
        """Of films whose target is known (1, 0), both at least once. The lowest score calls everyone."""
        candidates, sensitivity, _ = _roc(target, score)
        return float(candidates[sensitivity >= self.at - _ROUNDING].max())


class AtSpecificity(Config):
    """The lowest threshold that still spares the share ``at`` of the negative films."""

    kind: Literal["specificity"]
    at: float = Field(gt=0, le=1)

    def threshold(self, target: Floats, score: Floats) -> float | None:
        """Of films whose target is known (1, 0), both at least once. None where only calling nobody would do."""
        candidates, _, specificity = _roc(target, score)
        enough = candidates[specificity >= self.at - _ROUNDING]
        return float(enough.min()) if len(enough) else None


OperatingPoint = Annotated[Youden | AtSensitivity | AtSpecificity, Field(discriminator="kind")]
_ROUNDING = 1e-12  # shares of films, against a share that a person wrote


def operating_point(
    target: Floats, score: Floats, *, n_labels: int, rule: Youden | AtSensitivity | AtSpecificity | None = None
) -> float | None:
    """The threshold that ``rule`` asks for (Youden's without one), or None where no film shows that scores separate.

    Where they do not, a threshold cuts through noise: who is called positive then depends on age, sex or
    exposure and not on the finding. The test is Mann and Whitney's, one-sided, at LEVEL / ``n_labels`` (Bonferroni).
    """
    positive = target == 1
    p_value = mannwhitneyu(score[positive], score[~positive], alternative="greater").pvalue
    return (rule or Youden()).threshold(target, score) if p_value < LEVEL / n_labels else None


def youden(target: Floats, score: Floats) -> float:
    """The threshold with the largest J = sensitivity + specificity - 1 (Youden 1950).

    ``target`` holds 1 and 0, both at least once. Candidates lie midway between neighbouring distinct
    scores; of equal ones the one nearest to 0.5 is taken.
    """
    candidates, sensitivity, specificity = _roc(target, score)
    if len(candidates) == 1:
        return float(candidates[0])
    candidates, j = candidates[1:], (sensitivity + specificity)[1:]
    best = np.flatnonzero(np.isclose(j, j.max(), rtol=0, atol=_ROUNDING))
    return float(candidates[best[np.abs(candidates[best] - 0.5).argmin()]])


def _roc(target: Floats, score: Floats) -> tuple[Floats, Floats, Floats]:
    """Candidate thresholds [K], rising, and the sensitivity and specificity at each.

    The first is the lowest score, which calls every film; the others lie midway between neighbouring distinct scores.
    """
    positive = target == 1
    if positive.all() or not positive.any():
        raise ValueError("an operating point needs positives and negatives")
    distinct, place = np.unique(score, return_inverse=True)
    below_positive = np.bincount(place, positive, minlength=len(distinct)).cumsum()[:-1] / positive.sum()
    below_negative = np.bincount(place, ~positive, minlength=len(distinct)).cumsum()[:-1] / (~positive).sum()
    candidates = np.concatenate([distinct[:1], (distinct[:-1] + distinct[1:]) / 2])
    return candidates, np.concatenate([[1.0], 1 - below_positive]), np.concatenate([[0.0], below_negative])


def best_dice(probability: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]) -> float:
    """The threshold of DICE_GRID with the largest mean Dice over films; both [N, rows, cols].

    A film whose mask and prediction are both empty counts as 1.
    """
    means = []
    reference = mask.sum(axis=(1, 2))
    for threshold in DICE_GRID:
        predicted = probability >= threshold
        overlap = (predicted & mask).sum(axis=(1, 2))
        size = predicted.sum(axis=(1, 2)) + reference
        means.append(np.where(size > 0, 2 * overlap / np.maximum(size, 1), 1.0).mean())
    return float(DICE_GRID[int(np.argmax(means))])
