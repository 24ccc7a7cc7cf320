"""Operating points, chosen on validation films only; a score at or above the threshold is positive."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

Floats = npt.NDArray[np.float64]
DICE_GRID: Floats = np.linspace(0.05, 0.95, 19)


LEVEL = 0.05  # of the test whether scores separate, shared among an adapter's labels


def operating_point(target: Floats, score: Floats, *, n_labels: int) -> float | None:
    """Youden's threshold, or None where these films do not show that the score separates at all.

    Where it does not, a threshold cuts through noise: who is called positive then depends on age, sex or
    exposure and not on the finding. The test is Mann and Whitney's, one-sided, at LEVEL / ``n_labels`` (Bonferroni).
    """
    positive = target == 1
    p_value = mannwhitneyu(score[positive], score[~positive], alternative="greater").pvalue
    return youden(target, score) if p_value < LEVEL / n_labels else None


def youden(target: Floats, score: Floats) -> float:
    """The threshold with the largest J = sensitivity + specificity - 1 (Youden 1950).

    ``target`` holds 1 and 0, both at least once. Candidates lie midway between neighbouring distinct
    scores; of equal ones the one nearest to 0.5 is taken.
    """
    positive = target == 1
    if positive.all() or not positive.any():
        raise ValueError("Youden's J needs positives and negatives")
    distinct, place = np.unique(score, return_inverse=True)
    if len(distinct) == 1:
        return float(distinct[0])
    positives = np.bincount(place, positive, minlength=len(distinct))
    negatives = np.bincount(place, ~positive, minlength=len(distinct))
    below_positive, below_negative = positives.cumsum()[:-1], negatives.cumsum()[:-1]
    j = below_negative / negatives.sum() - below_positive / positives.sum()
    candidates = (distinct[:-1] + distinct[1:]) / 2
    best = np.flatnonzero(np.isclose(j, j.max(), rtol=0, atol=1e-12))
    return float(candidates[best[np.abs(candidates[best] - 0.5).argmin()]])


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
