"""How well measurements are predicted: errors, explained variance, and agreement as Bland and Altman draw it.

What is undefined is None, with the reason beside the figures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NORMAL_95 = 1.959963984540054  # two-sided 95 % of a normal distribution


class Agreement(NamedTuple):
    """All but ``r2`` and ``pearson`` in the measurement's own unit; an error is prediction minus target."""

    mae: float | None  # mean absolute error
    rmse: float | None  # root of the mean squared error
    r2: float | None  # 1 - squared error / squared deviation from these films' mean; 0 for that mean, below 0 worse
    pearson: float | None  # correlation, -1..1
    bias: float | None  # mean error
    limits_low: float | None  # bias ± 1.96 standard deviations of the error (Bland & Altman 1986): where the error
    limits_high: float | None  # of 95 % of films lies when errors are normal

    @classmethod
    def of(cls, target: Floats, prediction: Floats) -> Agreement:
        """Over the films whose ``target`` is known (not NaN); both [N], predictions finite."""
        known = np.isfinite(target)
        truth, said = target[known], prediction[known]
        n = len(truth)
        if n == 0:
            return cls(*[None] * len(cls._fields))
        error = said - truth
        mae, mse, bias = float(np.abs(error).mean()), float(np.square(error).mean()), float(error.mean())
        spread = float(error.std(ddof=1)) if n > 1 else None
        limits = (None, None) if spread is None else (bias - NORMAL_95 * spread, bias + NORMAL_95 * spread)
        return cls(mae, mse**0.5, _r2(truth, mse), _pearson(truth, said), bias, *limits)


def undefined_reason(target: Floats, prediction: Floats) -> str | None:
    """Why some figure of ``Agreement`` is None, or None when all are defined."""
    known = np.isfinite(target)
    n = int(known.sum())
    if n == 0:
        return "undefined: no film has a known value"
    if n == 1:
        return "R², correlation and limits undefined: one film has a known value"
    if np.ptp(target[known]) == 0:
        return "R² and correlation undefined: all known values are equal"
    if np.ptp(prediction[known]) == 0:
        return "correlation undefined: all predictions are equal"
    return None


def _r2(target: Floats, mse: float) -> float | None:
    return None if np.ptp(target) == 0 else 1 - mse / float(target.var())


def _pearson(target: Floats, prediction: Floats) -> float | None:
    if np.ptp(target) == 0 or np.ptp(prediction) == 0:
        return None
    return float(np.corrcoef(target, prediction)[0, 1])
