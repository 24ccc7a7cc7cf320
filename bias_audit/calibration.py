"""Whether scores can be read as probabilities: Brier score and expected calibration error.

Neighbours: ``recalibration`` (slope and intercept), ``sums`` (the replicates).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bias_audit.rows import Floats, Rows
from bias_audit.sums import MeanMetric, SumMetric, share


@dataclass(frozen=True)
class ExpectedCalibrationError(SumMetric):
    """Mean over films of |mean score - share with the finding| in the film's bin of scores.

    Bins of equal width, each with its upper end: 0 to .1, over .1 to .2, … (as
    sklearn.calibration.calibration_curve). Chance alone makes it larger than 0, more so in small strata.
    """

    bins: int = 10

    def columns(self, rows: Rows) -> Sequence[Floats]:
        """Score less truth in each bin, and ones."""
        edges = np.linspace(0, 1, self.bins + 1)[1:-1]
        place = np.searchsorted(edges, rows.score, side="left")
        off = rows.score - rows.target
        return [*(np.where(place == k, off, 0.0) for k in range(self.bins)), np.ones(len(off))]

    def combine(self, sums: Floats) -> Floats:
        """The films of a bin over all films weigh its difference, and cancel in its mean."""
        return share(np.abs(sums[:-1]).sum(axis=0), sums[-1])


BRIER = MeanMetric(
    "brier",
    "Brier score",
    "mean squared difference of score and truth; moves with prevalence, so no gap is tested",
    "lower",
    prevalence_free=False,
    values=lambda rows: (rows.score - rows.target) ** 2,
    binary=False,
)
ECE = ExpectedCalibrationError(
    "ece",
    "Expected calibration error",
    "mean distance of score and observed share over ten bins of the score; above 0 by chance in small groups",
    "lower",
    prevalence_free=False,
)
