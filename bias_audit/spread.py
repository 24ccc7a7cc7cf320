"""How far the strata of an axis lie apart: the largest difference, the smallest ratio, and fairlearn's two differences.

The largest difference among several noisy figures is too large by chance. So each comes with the difference
that chance alone would show: the range of the strata in replicates in which each is moved to the same value;
that gives a p-value too (a bootstrap form of Tukey's range test). The interval is normal, with the spread over
replicates of the difference between the two strata that the sample calls highest and lowest, about the
difference less its excess, which replicates show (their mean range less the sample's: they add the same noise
once more). Its lower end is 0 where chance alone shows as much. A plain percentile interval can miss every
time: ``tests/bias_audit/test_spread.py`` counts. Neighbours: ``label`` (the caller), ``vocabulary`` (fairlearn's
words).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bias_audit.rows import Floats


@dataclass(frozen=True)
class Difference:
    """A largest difference with its interval, what chance alone exceeds in one case of twenty, and a p-value."""

    value: float
    low: float
    high: float
    by_chance: float
    p_value: float


def largest_difference(figures: Sequence[Floats], confidence: float) -> Difference:
    """The largest (maximum - minimum) over one or several metrics, each [strata, 1 + B], the sample first.

    Equalized odds asks for the larger of two metrics' differences; all others for that of one. Two strata or more.
    """
    defined = ~np.any([np.isnan(values).any(axis=0) for values in figures], axis=0)
    figures = [values[:, defined] for values in figures]
    ranges = np.array([np.ptp(values, axis=0) for values in figures])
    widest = figures[int(np.argmax(ranges[:, 0]))]
    value = float(ranges[:, 0].max())
    if len(ranges[0]) < 2:
        return Difference(value, np.nan, np.nan, np.nan, np.nan)
    chance = np.max([np.ptp(values[:, 1:] - values[:, :1], axis=0) for values in figures], axis=0)
    contrast = widest[np.argmax(widest[:, 0]), 1:] - widest[np.argmin(widest[:, 0]), 1:]
    excess = float(ranges[:, 1:].max(axis=0).mean()) - value
    middle, half = max(value - excess, 0.0), float(stats.norm.ppf((1 + confidence) / 2) * contrast.std())
    by_chance = float(np.quantile(chance, confidence))
    return Difference(
        value=value,
        low=0.0 if value <= by_chance else max(middle - half, 0.0),
        high=max(middle + half, value),
        by_chance=by_chance,
        p_value=float((1 + (chance >= value).sum()) / (1 + len(chance))),
    )


def smallest_ratio(values: Floats, confidence: float) -> tuple[float, float, float]:
    """Minimum / maximum of ``values`` [strata, 1 + B] with its interval; NaN where a value is not above 0."""
    if not (values[:, 0] > 0).all():
        return np.nan, np.nan, np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.where(values > 0, np.log(values), np.nan)
    found = largest_difference([logarithms], confidence)
    return float(np.exp(-found.value)), float(np.exp(-found.high)), float(np.exp(-found.low))
