"""How far predicted measurements (age, cardiothoracic ratio, …) lie from the true ones, film by film.

Gaps are tested of the absolute error in standard deviations of the true values over everyone, so that one margin serves
years and ratios; the same in the measurement's own unit, and the mean error (the bias: above 0 reads too high), are
given beside it. Neighbours: ``sums``, ``inputs`` (which makes the columns).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bias_audit.metrics import Task
from bias_audit.rows import measured_column
from bias_audit.sums import MeanMetric

REGRESSION: frozenset[Task] = frozenset({"regression"})
ERRORS = ("error", "absolute_error", "absolute_error_sd")  # columns of a table of regression


def error_columns(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """``ERRORS`` of a frame of label, target and prediction; NaN where the target is unknown.

    A measurement whose true values are all the same has no standard deviation, so no error in it.
    """
    error = frame["prediction"] - frame["target"]
    spread = frame.groupby("label")["target"].transform(lambda values: values.std(ddof=0))
    return dict(zip(ERRORS, (error, error.abs(), error.abs() / spread.where(spread > 0)), strict=True))


MAE_SD = MeanMetric(
    "mae_sd",
    "Error in standard deviations",
    "mean absolute error, in standard deviations of the true values over everyone",
    "lower",
    frozenset({"absolute_error_sd"}),
    REGRESSION,
    limits=(0.0, np.inf),
    values=measured_column("absolute_error_sd"),
    binary=False,
)
MAE = MeanMetric(
    "mae",
    "Mean absolute error",
    "mean distance of prediction and truth in the measurement's own unit",
    "lower",
    frozenset({"absolute_error"}),
    REGRESSION,
    mirror_of="mae_sd",
    limits=(0.0, np.inf),
    values=measured_column("absolute_error"),
    binary=False,
)
MEAN_ERROR = MeanMetric(
    "mean_error",
    "Mean error",
    "prediction less truth in the measurement's own unit; 0 is right, above 0 reads too high",
    None,
    frozenset({"error"}),
    REGRESSION,
    limits=(-np.inf, np.inf),
    values=measured_column("error"),
    binary=False,
)
