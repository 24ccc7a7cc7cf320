"""A stratum against everyone else: the gap, how sure it is, and its p-value.

p-value: how far the gap lies from 0 if the stratum's films were like everyone's. The null spread is
pooled over everyone, with the likeness of films of one patient, and taken to this stratum's own patients;
so it does not collapse where a small stratum is all right or all wrong. Near 0 or 1 the estimate of
a small stratum is skewed: a normal tail gives up to a hundred times too many false alarms at
p < 0.001, Student's t on few patients hardly ever an alarm at all. So the larger is taken of the normal tail
and the tail of a beta distribution of the same mean and spread. A formula, not a count of replicates: 1,000
replicates cannot give the small p-values that Benjamini–Hochberg over a thousand gaps asks for.

Interval: the wider at either end of the percentile bootstrap of the difference and Newcombe's
square-and-add of the two intervals (1998, method 10).

``benchmarks/audit_planted_bias.py`` measures false alarms, power and coverage. Neighbours: ``estimates``, ``flags``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bias_audit.counts import Counts, count_strata
from bias_audit.estimates import Part, independent_films, interval_of, parts_of
from bias_audit.intervals import percentile_interval
from bias_audit.metrics import Metric
from bias_audit.replicates import Replicates
from bias_audit.rows import Floats, LabelRows
from bias_audit.settings import Recipe
from bias_audit.strata import StrataIndex


def null_error(parts: Sequence[Part]) -> Floats:
    """Standard error [strata] of stratum minus rest if there were no difference; NaN where either is empty."""
    total = np.zeros(1)
    for part in parts:
        rest = part.rest()
        with np.errstate(divide="ignore", invalid="ignore"):
            films = 1 / part.films + 1 / rest.films
            # sum over patients of (their share of the stratum - their share of the rest)²
            together = part.squares / part.films**2 + rest.squares / rest.films**2
            together = together - 2 * part.shared / (part.films * rest.films)
            total = total + part.variance * ((1 - part.correlation) * films + part.correlation * together)
    return np.sqrt(np.maximum(total, 0))


def gap_p_value(
    estimate: Floats, rest: Floats, everyone: float, error: Floats, films: Floats, films_rest: Floats, step: float
) -> Floats:
    """Two-sided p-values [strata]: the larger of a normal and a beta tail with standard error ``error``.

    The beta stands for the side with fewer effective ``films``. Its mean is ``everyone``: if there is no
    difference, that is the value of either side, and ``error`` is its spread too. ``step``: films by which a
    share can move at all (1, or 0 for a measure without steps); half of it is a continuity correction.
    """
    gap = np.where(films <= films_rest, estimate - rest, rest - estimate)
    half = np.minimum(step / 2 / np.minimum(films, films_rest), np.abs(gap))
    with np.errstate(divide="ignore", invalid="ignore"):
        normal = 2 * stats.norm.sf((np.abs(gap) - half) / error)
        size = everyone * (1 - everyone) / error**2 - 1
    curve = stats.beta(everyone * size, (1 - everyone) * size)
    seen = everyone + gap - np.sign(gap) * half
    skewed = 2 * np.where(gap < 0, curve.cdf(seen), curve.sf(seen))
    p_value = np.minimum(1, np.where(size > 0, np.fmax(normal, skewed), 1.0))
    return np.where(error > 0, p_value, np.where(gap == 0, 1.0, np.nan))


def square_and_add(
    estimate: Floats, interval: tuple[Floats, Floats], rest: Floats, rest_interval: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Newcombe's interval of ``estimate - rest`` from the interval of each; all [strata]."""
    (low, high), (rest_low, rest_high) = interval, rest_interval
    below = np.hypot(estimate - low, rest_high - rest)
    above = np.hypot(high - estimate, rest - rest_low)
    return estimate - rest - below, estimate - rest + above


def gap_table(
    data: LabelRows,
    metrics: Sequence[Metric],
    replicates: dict[str, Replicates],
    index: StrataIndex,
    recipe: Recipe,
) -> pd.DataFrame:
    """One row a stratum (everyone left out) and tested metric; p_adjusted and flagged come later."""
    inside, rest = count_strata(data)
    frames = []
    for metric in metrics:
        if not metric.tested:
            continue
        verdicts = [_status(k, metric, inside, rest, recipe) for k in range(data.strata)]
        ok = np.array([status == "ok" for status, _ in verdicts])
        numbers = _numbers(data, metric, replicates[metric.name], ok, recipe.confidence)
        frame = pd.DataFrame({"stratum_id": np.arange(data.strata), "metric": metric.name, **numbers})
        frame["direction"] = _direction(frame["gap"].to_numpy(), metric)
        frame["status"], frame["reason"] = zip(*verdicts, strict=True)
        frames.append(frame[1:])
    if not frames:
        return pd.DataFrame()
    table = pd.concat(frames, ignore_index=True)
    table.insert(0, "axis", [index.axes[k] for k in table["stratum_id"]])
    table.insert(1, "stratum", [index.names[k] for k in table["stratum_id"]])
    return table


def _status(k: int, metric: Metric, inside: Counts, rest: Counts, recipe: Recipe) -> tuple[str, str | None]:
    if rest.films["all"][k] == 0:
        return "undefined", "there is nobody else to compare with"
    status, reason = inside.status(k, metric, recipe.min_patients, recipe.min_positives)
    if status != "ok":
        return status, reason
    status, reason = rest.status(k, metric, recipe.min_patients, recipe.min_positives)
    return status, reason and f"everyone else: {reason}"


def _numbers(
    data: LabelRows, metric: Metric, replicates: Replicates, ok: npt.NDArray[np.bool_], confidence: float
) -> dict[str, Floats]:
    names = ("estimate", "rest", "gap", "se", "ci_low", "ci_high", "p_value")
    if not ok.any():
        return {name: np.full(len(ok), np.nan) for name in names}
    inside, outside = replicates.inside[ok], replicates.rest[ok]
    every = parts_of(data, metric)
    error = null_error(every)[ok]
    parts, rests = [part.of(ok) for part in every], [part.rest().of(ok) for part in every]
    estimate, rest, everyone = inside[:, 0], outside[:, 0], float(replicates.inside[0, 0])
    low, high = square_and_add(
        estimate,
        interval_of(inside, parts, everyone, metric, confidence),
        rest,
        interval_of(outside, rests, everyone, metric, confidence),
    )
    boot_low, boot_high = percentile_interval((inside - outside)[:, 1:], confidence)
    films, films_rest = (independent_films(side, everyone) for side in (parts, rests))
    p_value = gap_p_value(estimate, rest, everyone, error, films, films_rest, float(metric.steps))
    low, high = np.clip(np.fmin(low, boot_low), -1, 1), np.clip(np.fmax(high, boot_high), -1, 1)
    columns = (estimate, rest, estimate - rest, error, low, high, p_value)
    return {name: _spread(column, ok) for name, column in zip(names, columns, strict=True)}


def _spread(values: Floats, where: npt.NDArray[np.bool_]) -> Floats:
    full = np.full(len(where), np.nan)
    full[where] = values
    return full


def _direction(gap: Floats, metric: Metric) -> list[str | None]:
    good = gap if metric.better == "higher" else -gap
    return [None if np.isnan(g) or g == 0 else "better" if g > 0 else "worse" for g in good]
