"""How far the strata of an axis lie apart: the largest difference, the smallest ratio, and fairlearn's two differences.

The largest difference among several noisy figures is too large by chance. So each comes with the difference
that chance alone would show: the range of what the strata would show if all were like everyone (``alike``, a
form of Tukey's range test); that gives a p-value too. The interval is made of Newcombe's for pairs of strata. Its
upper end is the highest of any pair: a small stratum may hide the largest difference. Its lower end is that of the
strata that the sample calls highest and lowest, less the excess: how much wider the range becomes when the same noise
is added once more; and 0 where chance alone shows as much. A plain percentile interval can miss every time, and
the bootstrap of a small stratum that is all right shows no noise at all:
``tests/bias_audit/test_spread.py`` counts. Neighbours: ``label`` (the caller), ``vocabulary`` (fairlearn's words).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bias_audit.estimates import Side
from bias_audit.gaps import square_and_add
from bias_audit.intervals import student_factor
from bias_audit.metrics import UNIT, Metric
from bias_audit.rows import Bools, Floats, Ints

_NODES = 17  # normal quantiles between which a null distribution's are read as straight


@dataclass(frozen=True)
class Figures:
    """One metric in the strata of an axis."""

    estimate: Floats  # [strata]
    low: Floats  # [strata], ends of its interval
    high: Floats
    alike: Floats  # [strata, B] what it might be if the stratum were like everyone; NaN where undefined
    everyone: float

    def of(self, strata: Ints) -> Figures:
        """The same of some strata."""
        return Figures(self.estimate[strata], self.low[strata], self.high[strata], self.alike[strata], self.everyone)

    def logarithms(self) -> Figures:
        """Of figures above 0; NaN or -inf where one is not."""
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = np.where(self.alike > 0, np.log(self.alike), np.nan)
            return Figures(
                np.log(self.estimate), np.log(self.low), np.log(self.high), drawn, float(np.log(self.everyone))
            )


def alike(
    replicates: Floats, side: Side | None, patients: Ints, everyone: float, metric: Metric, rng: np.random.Generator
) -> Floats:
    """[strata, B] figures that the strata would show if all were like everyone: the null distribution of gaps.

    A beta about ``everyone`` (Student's t for a metric without bounds) with the variance that films of everyone have
    in the stratum's ``patients``; the bootstrap, ``replicates`` [strata, 1 + B], gives only the order of the draws,
    and so how strata with common patients move together. Where the metric is no mean (no ``side``) it gives the spread
    too, wider for few patients as in ``intervals``.
    """
    moved = replicates[:, 1:] - replicates[:, :1]
    if side is None:
        wider = np.sqrt(student_factor(patients, 0.95) * patients / np.maximum(patients - 1, 1))
        return np.asarray(everyone + moved * wider[:, None])
    noise = 1e-9 * rng.normal(size=moved.shape)  # breaks ties, also of a stratum that never moves
    rank = np.argsort(np.argsort(np.nan_to_num(moved) + noise, axis=1), axis=1)
    normal = stats.norm.ppf((np.arange(moved.shape[1]) + 0.5) / moved.shape[1])
    node = np.linspace(normal[0], normal[-1], _NODES)
    chance = stats.norm.cdf(node)
    variance = np.nan_to_num(side.variance())[:, None]
    if metric.limits == UNIT:
        size = np.maximum(everyone * (1 - everyone) / np.maximum(variance, 1e-12) - 1, 0.1)
        curve = stats.beta.ppf(chance, everyone * size, (1 - everyone) * size)
    else:
        freedom = np.maximum(side.effective() - 1, 1)[:, None]
        curve = everyone + np.sqrt(variance) * stats.t.ppf(chance, freedom)
    curve = np.where(variance > 0, curve, everyone)
    drawn = np.array([np.interp(normal, node, one) for one in curve])
    return np.take_along_axis(drawn, rank, axis=1)


@dataclass(frozen=True)
class Difference:
    """A largest difference with its interval, what chance alone exceeds in one case of twenty, and a p-value."""

    value: float
    low: float
    high: float
    by_chance: float
    p_value: float


def largest_difference(figures: Sequence[Figures], confidence: float) -> Difference:
    """The largest (maximum - minimum) over one or several metrics of the same strata, two or more.

    Equalized odds asks for the larger of two metrics' differences; all others for that of one.
    """
    ranges = [float(np.ptp(one.estimate)) for one in figures]
    value, widest = max(ranges), figures[int(np.argmax(ranges))]
    defined = ~np.any([np.isnan(one.alike).any(axis=0) for one in figures], axis=0)
    if not defined.any():
        return Difference(value, np.nan, np.nan, np.nan, np.nan)
    chance = np.max([np.ptp(one.alike[:, defined], axis=0) for one in figures], axis=0)
    again = [np.ptp(one.estimate[:, None] + one.alike[:, defined] - one.everyone, axis=0) for one in figures]
    excess = float(np.max(again, axis=0).mean()) - value
    by_chance = float(np.quantile(chance, confidence))
    low, high = _pairs(widest, defined)
    top, bottom = int(np.argmax(widest.estimate)), int(np.argmin(widest.estimate))
    return Difference(
        value=value,
        low=0.0 if value <= by_chance else max(float(low[top, bottom]) - excess, 0.0),
        high=max(float(high.max()), value),
        by_chance=by_chance,
        p_value=float((1 + (chance >= value).sum()) / (1 + len(chance))),
    )


def _pairs(figures: Figures, defined: Bools) -> tuple[Floats, Floats]:
    """Ends [strata, strata] of the interval of each stratum less each other."""
    drawn = figures.alike[:, defined]
    still = drawn.std(axis=1) == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        together = np.where(still[:, None] | still[None], 0.0, np.corrcoef(drawn))
    estimate, low, high = figures.estimate, figures.low, figures.high
    mine, other = (slice(None), None), (None, slice(None))
    return square_and_add(estimate[mine], (low[mine], high[mine]), estimate[other], (low[other], high[other]), together)


def smallest_ratio(figures: Figures, confidence: float) -> tuple[float, float, float]:
    """Minimum / maximum of the figures with its interval; NaN where a figure is not above 0."""
    if not (figures.estimate > 0).all() or not figures.everyone > 0:
        return np.nan, np.nan, np.nan
    found = largest_difference([figures.logarithms()], confidence)
    return float(np.exp(-found.value)), float(np.exp(-found.high)), float(np.exp(-found.low))
