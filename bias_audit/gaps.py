"""A stratum against everyone else, or against a reference: the gap, how sure it is, and its p-value.

p-value: how far the gap lies from 0 if the stratum's films were like everyone's. The null spread is
pooled over everyone, with the likeness of films of one patient, and taken to this stratum's own patients;
so it does not collapse where a small stratum is all right or all wrong. Near 0 or 1 the estimate of
a small stratum is skewed: a normal tail gives up to a hundred times too many false alarms at
p < 0.001, Student's t on few patients hardly ever an alarm at all. So the larger is taken of the normal tail
and the tail of a beta distribution of the same mean and spread. A formula, not a count of replicates: 1,000
replicates cannot give the small p-values that Benjamini–Hochberg over a thousand gaps asks for.

Interval: Newcombe's square-and-add of the intervals of both sides (1998, method 10), less what they have in
common where patients have films on either (Zou 2007).

``benchmarks/audit_validity.py`` measures false alarms, power and coverage. Neighbours: ``estimates``, ``flags``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from bias_audit.counts import Counts, count_strata
from bias_audit.estimates import Side, independent_films, interval_of, makeup_of
from bias_audit.metrics import UNIT, Metric
from bias_audit.replicates import Replicates
from bias_audit.rows import Bools, Floats, Ints, LabelRows
from bias_audit.settings import Recipe
from bias_audit.strata import StrataIndex

Status = tuple[str, str | None]
NUMBERS = ("estimate", "rest", "gap", "se", "ci_low", "ci_high", "p_value")


def covariance(inside: Side, other: Side) -> Floats:
    """[strata] of the figures of both sides: 0 unless patients have films on either."""
    with np.errstate(divide="ignore", invalid="ignore"):
        crossed = other.shared / (inside.films[:, None] * other.films[None])
        return np.asarray(np.einsum("ij,ijs->s", inside.together, crossed))


def correlation(inside: Side, other: Side) -> Floats:
    """[strata] of the figures of both sides; 0 where one does not vary."""
    scale = np.sqrt(inside.variance() * other.variance())
    shared = covariance(inside, other)
    return np.divide(shared, scale, out=np.zeros_like(scale), where=scale > 0)


def null_error(inside: Side, other: Side) -> Floats:
    """Standard error [strata] of stratum minus other side if there were no difference; NaN where either is empty."""
    variance = inside.variance() + other.variance() - 2 * covariance(inside, other)
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


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


def mean_p_value(gap: Floats, error: Floats, films: Floats, films_rest: Floats) -> Floats:
    """Two-sided p-values [strata] of a mean without bounds: Student's t on the films of the smaller side."""
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = 2 * stats.t.sf(np.abs(gap) / error, np.maximum(np.minimum(films, films_rest) - 1, 1))
    return np.where(error > 0, tail, np.where(gap == 0, 1.0, np.nan))


def square_and_add(
    estimate: Floats,
    interval: tuple[Floats, Floats],
    rest: Floats,
    rest_interval: tuple[Floats, Floats],
    correlation: Floats,
) -> tuple[Floats, Floats]:
    """Newcombe's interval of ``estimate - rest`` from the interval of each; all [strata].

    ``correlation`` of the two figures, where patients have films on both sides (Zou 2007).
    """
    (low, high), (rest_low, rest_high) = interval, rest_interval

    def half(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.sqrt(np.maximum(a**2 + b**2 - 2 * correlation * a * b, 0)))

    below, above = half(estimate - low, rest_high - rest), half(high - estimate, rest - rest_low)
    return estimate - rest - below, estimate - rest + above


@dataclass(frozen=True)
class Comparison:
    """One label's films, and what its gaps are made of."""

    data: LabelRows
    replicates: dict[str, Replicates]
    inside: Counts
    index: StrataIndex
    recipe: Recipe
    hidden: Bools | None = None  # [strata] suppressed for privacy

    def status(self, k: int, metric: Metric, counts: Counts | None = None) -> Status:
        """Whether a figure of the metric can be said of a stratum; ``counts`` other than its own: of the rest."""
        if counts is None and self.hidden is not None and self.hidden[k]:
            return "suppressed", "hidden for privacy"
        found = (counts or self.inside).status(k, metric, self.recipe.min_patients, self.recipe.min_positives)
        if found[0] == "ok" and counts is None and np.isnan(self.replicates[metric.name].inside[k, 0]):
            return "undefined", metric.no_value
        return found

    def with_rest(self, metrics: Sequence[Metric]) -> pd.DataFrame:
        """One row a stratum (everyone left out) and tested metric; p_adjusted and flagged come later."""
        _, rest = count_strata(self.data)

        def status(k: int, metric: Metric) -> Status:
            if rest.films["all"][k] == 0:
                return "undefined", "there is nobody else to compare with"
            own = self.status(k, metric)
            return own if own[0] != "ok" else _named(self.status(k, metric, rest), "everyone else")

        frames = []
        for metric in metrics:
            if metric.tested:
                statuses = [status(k, metric) for k in range(self.data.strata)]
                frames.append(self._frame(metric, statuses, self.replicates[metric.name].rest, None))
        return self._table(frames)

    def with_references(self, metrics: Sequence[Metric], reference: Ints) -> pd.DataFrame:
        """One row a stratum that has a ``reference`` [strata] (-1: none, or it is one) and tested metric."""

        def status(k: int, metric: Metric) -> Status:
            own = self.status(k, metric)
            other = _named(self.status(int(reference[k]), metric), "the reference")
            return other if own[0] == "ok" else own

        frames = []
        compared = np.flatnonzero(reference >= 0)
        for metric in metrics:
            if metric.tested and len(compared):
                statuses: list[Status] = [("undefined", None)] * self.data.strata
                for k in compared:
                    statuses[k] = status(int(k), metric)
                other = self.replicates[metric.name].inside[np.maximum(reference, 0)]
                frame = self._frame(metric, statuses, other, np.maximum(reference, 0))
                frames.append(frame[frame["stratum_id"].isin(compared)])
        table = self._table(frames)
        if len(table):
            table.insert(2, "reference", [self.index.names[reference[k]] for k in table["stratum_id"]])
        return table

    def _frame(self, metric: Metric, statuses: list[Status], other: Floats, reference: Ints | None) -> pd.DataFrame:
        ok = np.array([status == "ok" for status, _ in statuses])
        numbers = self._numbers(metric, ok, other, reference)
        frame = pd.DataFrame({"stratum_id": np.arange(self.data.strata), "metric": metric.name, **numbers})
        frame["direction"] = _direction(frame["gap"].to_numpy(), metric)
        frame["status"], frame["reason"] = zip(*statuses, strict=True)
        return frame[1:]

    def _numbers(self, metric: Metric, ok: Bools, other: Floats, reference: Ints | None) -> dict[str, Floats]:
        if not ok.any():
            return {name: np.full(len(ok), np.nan) for name in NUMBERS}
        everyone = float(self.replicates[metric.name].inside[0, 0])
        mine, others = self.replicates[metric.name].inside[ok], other[ok]
        makeup = makeup_of(self.data, metric)
        if makeup is None:
            raise TypeError(f"{metric.name} is tested, so it must give its parts")
        side = makeup.inside.at(ok)
        other_side = (makeup.rest if reference is None else makeup.of(reference)).at(ok)
        patients = self.inside.patients["all"][ok]  # not asked for: a tested metric has its parts
        estimate, rest, confidence = mine[:, 0], others[:, 0], self.recipe.confidence
        low, high = square_and_add(
            estimate,
            interval_of(mine, side, patients, everyone, metric, confidence),
            rest,
            interval_of(others, other_side, patients, everyone, metric, confidence),
            correlation(side, other_side),
        )
        error = null_error(side, other_side)
        if metric.limits == UNIT:
            films, films_rest = independent_films(side, everyone), independent_films(other_side, everyone)
            p_value = gap_p_value(estimate, rest, everyone, error, films, films_rest, float(metric.steps))
            low, high = np.clip(low, -1, 1), np.clip(high, -1, 1)
        else:
            p_value = mean_p_value(estimate - rest, error, side.effective(), other_side.effective())
        columns = (estimate, rest, estimate - rest, error, low, high, p_value)
        return {name: _spread(column, ok) for name, column in zip(NUMBERS, columns, strict=True)}

    def _table(self, frames: list[pd.DataFrame]) -> pd.DataFrame:
        if not frames:
            return pd.DataFrame()
        table = pd.concat(frames, ignore_index=True)
        table.insert(0, "axis", [self.index.axes[k] for k in table["stratum_id"]])
        table.insert(1, "stratum", [self.index.names[k] for k in table["stratum_id"]])
        return table


def _named(status: Status, whose: str) -> Status:
    return status[0], status[1] and f"{whose}: {status[1]}"


def _spread(values: Floats, where: Bools) -> Floats:
    full = np.full(len(where), np.nan)
    full[where] = values
    return full


def _direction(gap: Floats, metric: Metric) -> list[str | None]:
    good = gap if metric.better == "higher" else -gap
    return [None if np.isnan(g) or g == 0 else "better" if g > 0 else "worse" for g in good]
