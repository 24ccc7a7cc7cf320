"""Weighted AUROC and average precision of one sample, by ranks, ties exact.

The Mann–Whitney form: sum over pairs (positive i, negative j) of w_i w_j ([s_i > s_j] + ½[s_i = s_j])
over the sum of w_i w_j. With the negatives sorted, the weight below a positive is a difference of
cumulative sums. Pure maths; ``ranking`` does the same for all strata and replicates at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Ranks:
    """Where each of ``at`` [m] falls among sorted ``scores`` [n]: scores below it, and scores below or at it."""

    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]

    @classmethod
    def of(cls, at: Floats, scores: Floats) -> Ranks:
        """``scores`` must rise."""
        return cls(np.searchsorted(scores, at, side="left"), np.searchsorted(scores, at, side="right"))

    def weight_below(self, weights: Floats) -> Floats:
        """The weight of scores below each of ``at``, plus half of that at a tie: [n] → [m] or [n, B] → [m, B]."""
        total = np.zeros((len(weights) + 1, *weights.shape[1:]), weights.dtype)
        np.cumsum(weights, axis=0, out=total[1:])
        below = total[self.low]
        below += total[self.high]
        below *= 0.5
        return below


def auroc(score: Floats, positive: npt.NDArray[np.bool_], weight: Floats | None = None) -> float:
    """AUROC of ``score`` [n] for ``positive`` [n] with ``weight`` [n] ≥ 0; NaN when a class has no weight."""
    weight = np.ones(len(score)) if weight is None else weight
    order = np.argsort(score, kind="stable")
    score, positive, weight = score[order], positive[order], weight[order]
    w_pos, w_neg = weight[positive], weight[~positive]
    pairs = w_pos.sum() * w_neg.sum()
    if pairs == 0:
        return float("nan")
    return float(w_pos @ Ranks.of(score[positive], score[~positive]).weight_below(w_neg) / pairs)


def average_precision(score: Floats, positive: npt.NDArray[np.bool_], weight: Floats | None = None) -> float:
    """Average precision as scikit-learn defines it, with ``weight`` [n] ≥ 0; NaN when no positive has weight.

    The sum over distinct scores, from the highest, of the gain in recall times the precision there.
    """
    weight = np.ones(len(score)) if weight is None else weight
    order = np.argsort(-score, kind="stable")
    score, hits, weight = score[order], (weight * positive)[order], weight[order]
    if hits.sum() == 0:
        return float("nan")
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    true, called = np.cumsum(hits)[last], np.cumsum(weight)[last]
    precision = np.divide(true, called, out=np.zeros(len(last)), where=called > 0)
    return float(np.diff(true, prepend=0.0) @ precision / true[-1])


def placements(score: Floats, positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """[n] in 0..1: for a positive the share of negatives below it, for a negative the share of positives above.

    The mean over either class is the AUROC (DeLong 1988), so the spread of placements is its uncertainty.
    """
    pos, neg = np.sort(score[positive]), np.sort(score[~positive])
    result = np.empty(len(score))
    result[positive] = Ranks.of(score[positive], neg).weight_below(np.ones(len(neg))) / len(neg)
    result[~positive] = 1 - Ranks.of(score[~positive], pos).weight_below(np.ones(len(pos))) / len(pos)
    return result
