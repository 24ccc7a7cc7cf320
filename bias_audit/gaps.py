"""A stratum against everyone else: the gap, how sure it is, and which gaps deserve a flag.

The standard error is the larger of two. (1) The bootstrap of patients. (2) That under the null
hypothesis of no difference: the spread pooled over everyone and the likeness of films of one
patient, taken to this stratum's own patients. Where a small stratum happens to be all right or all wrong,
(1) collapses to zero and (2) does not; where spreads differ, (1) notices. The p-value is two-sided
from Student's t with Satterthwaite's degrees of freedom on patients, so it has tails fine enough for
Benjamini–Hochberg over thousands of gaps, which 1,000 replicates could never give by counting.
``benchmarks/audit_planted_bias.py`` measures false alarms and coverage. Neighbours: ``intervals``, ``replicates``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bias_audit.auroc import placements
from bias_audit.counts import Counts, count_strata
from bias_audit.intervals import intracluster_correlation, standard_error, student_interval
from bias_audit.metrics import Floats, MeanMetric, Metric
from bias_audit.replicates import LabelRows, Replicates, Weights, replicate_all
from bias_audit.settings import AuditConfig, Recipe
from bias_audit.strata import StrataIndex


@dataclass(frozen=True)
class Part:
    """Films whose mean placement or value makes up a metric: one class of an AUROC, or all that count."""

    variance: float  # of one film's value, pooled over everyone
    correlation: float  # between films of one patient
    per_patient: Floats  # [strata, patients] films that count


def parts_of(data: LabelRows, metric: Metric) -> list[Part]:
    """The means that the metric consists of: one for a MeanMetric, two (positives, negatives) for an AUROC."""
    if isinstance(metric, MeanMetric):
        return [_part(data, metric.values(data.rows))]
    positive = data.rows.target == 1
    share = placements(data.rows.score, positive)
    return [_part(data, np.where(mask, share, np.nan)) for mask in (positive, ~positive)]


def _part(data: LabelRows, values: Floats) -> Part:
    counted = ~np.isnan(values)
    residual = values[counted] - values[counted].mean()
    variance = float((residual**2).sum() / max(len(residual) - 1, 1))
    correlation = intracluster_correlation(residual, data.patient[counted])
    return Part(variance, correlation, data.patient_sums(counted.astype(np.float64)))


def null_error(parts: Sequence[Part]) -> tuple[Floats, Floats]:
    """Standard error of the gap if there were none, and its degrees of freedom; each [strata]."""
    total = 0.0
    patients_in, patients_rest = np.inf, np.inf
    for part in parts:
        inside, rest = part.per_patient, part.per_patient[:1] - part.per_patient
        n_in, n_rest = inside.sum(axis=1, keepdims=True), rest.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            contrast = inside / n_in - rest / n_rest  # the weight of each patient in the gap
            films = (1 / n_in + 1 / n_rest)[:, 0]
        together = (contrast**2).sum(axis=1)
        total = total + part.variance * ((1 - part.correlation) * films + part.correlation * together)
        patients_in = np.minimum(patients_in, (inside > 0).sum(axis=1))
        patients_rest = np.minimum(patients_rest, (rest > 0).sum(axis=1))
    return np.sqrt(total), _satterthwaite(np.asarray(patients_in), np.asarray(patients_rest))


def _satterthwaite(k_in: Floats, k_rest: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        top = (1 / k_in + 1 / k_rest) ** 2
        return top / (1 / (k_in**2 * np.maximum(k_in - 1, 1)) + 1 / (k_rest**2 * np.maximum(k_rest - 1, 1)))


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
        if metric.better is None:
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
    if rest.films[k] == 0:
        return "undefined", "there is nobody else to compare with"
    status, reason = inside.status(k, metric, recipe.min_patients, recipe.min_positives)
    if status != "ok":
        return status, reason
    status, reason = rest.status(k, metric, recipe.min_patients, recipe.min_positives)
    return status, reason and f"everyone else: {reason}"


def _numbers(
    data: LabelRows, metric: Metric, replicates: Replicates, ok: npt.NDArray[np.bool_], confidence: float
) -> dict[str, Floats]:
    names = ("estimate", "rest", "gap", "se", "df", "ci_low", "ci_high", "p_value")
    if not ok.any():
        return {name: np.full(len(ok), np.nan) for name in names}
    estimate, rest = replicates.inside[:, 0], replicates.rest[:, 0]
    gap = estimate - rest
    error, df = null_error(parts_of(data, metric))
    spread = standard_error((replicates.inside - replicates.rest)[:, 1:])
    error = np.fmax(error, spread)
    low, high = student_interval(gap, error, df, confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = np.where(error > 0, 2 * stats.t.sf(np.abs(gap) / error, df), np.where(gap == 0, 1.0, 0.0))
    columns = (estimate, rest, gap, error, df, np.clip(low, -1, 1), np.clip(high, -1, 1), p_value)
    return {name: np.where(ok, column, np.nan) for name, column in zip(names, columns, strict=True)}


def _direction(gap: Floats, metric: Metric) -> list[str | None]:
    good = gap if metric.better == "higher" else -gap
    return [None if np.isnan(g) or g == 0 else "better" if g > 0 else "worse" for g in good]


def benjamini_hochberg(p_value: Floats) -> Floats:
    """Adjusted p-values (false discovery rate); NaN stays NaN and does not count as a test."""
    adjusted = np.full(len(p_value), np.nan)
    tested = ~np.isnan(p_value)
    if tested.any():
        adjusted[tested] = stats.false_discovery_control(p_value[tested], method="bh")
    return adjusted


def flag_gaps(
    gaps: pd.DataFrame,
    by_label: dict[str, LabelRows],
    metrics: dict[str, Metric],
    weights: Weights,
    index: StrataIndex,
    config: AuditConfig,
) -> pd.DataFrame:
    """Add p_adjusted, explained_by and flagged to the gaps of all labels.

    Sure: p_adjusted < alpha and |gap| ≥ margin. Of the sure gaps of a label and metric the surest is a
    root. Leave its films out: a gap that is then small or no longer sure is explained by the root; the
    surest that stays is the next root. Flagged are sure gaps to the worse, except those of strata that
    share no film with the root that explains them: they only mirror it.
    """
    gaps = gaps.copy()
    gaps["p_adjusted"] = benjamini_hochberg(gaps["p_value"].to_numpy(np.float64))
    recipe = config.recipe
    sure = (gaps["p_adjusted"] < recipe.alpha) & (gaps["gap"].abs() >= recipe.margin)
    gaps["explained_by"] = pd.Series([None] * len(gaps), index=gaps.index, dtype=object)
    gaps["flagged"] = sure & (gaps["direction"] == "worse")
    cutoff = gaps["p_value"][sure].max()
    for (label, name), group in gaps[sure].groupby(["label", "metric"], sort=True):
        explanation = _Explanation(by_label[str(label)], metrics[str(name)], weights, index, config, cutoff)
        for row, (root, mirrors) in explanation.of(group).items():
            gaps.loc[row, "explained_by"] = f"{index.axes[root]}: {index.names[root]}"
            gaps.loc[row, "flagged"] &= not mirrors
    return gaps


@dataclass(frozen=True)
class _Explanation:
    """Which sure gaps of one label and metric are but the shadow of a surer one."""

    data: LabelRows
    metric: Metric
    weights: Weights
    index: StrataIndex
    config: AuditConfig
    cutoff: float  # the largest p-value that was sure in the whole table

    def of(self, sure: pd.DataFrame) -> dict[int, tuple[int, bool]]:
        """Row → (its root's stratum, whether it shares no film with any root so far); roots have no entry."""
        waiting = self._surest_first(sure)
        found: dict[int, tuple[int, bool]] = {}
        left, rooted = self.data, np.zeros(len(self.data.patient), bool)
        while waiting:
            _, root = waiting.pop(0)
            left, rooted = left.without(root), rooted | self.data.inside(root)
            again = self._gaps(left, [stratum for _, stratum in waiting])
            for row, stratum in list(waiting):
                p_value, gap = again.loc[stratum, ["p_value", "gap"]].astype(float)
                if not (p_value <= self.cutoff and abs(gap) >= self.config.recipe.margin):
                    found[row] = (root, not bool((rooted & self.data.inside(stratum)).any()))
                    waiting.remove((row, stratum))
        return found

    def _surest_first(self, sure: pd.DataFrame) -> list[tuple[int, int]]:
        """(row, stratum) by falling |t|; of equals (F against M, M against F) the worse, then the wider comes first."""
        ranked = sure.assign(
            t=-(sure["gap"] / sure["se"]).abs().round(6),
            better=sure["direction"] == "better",
            depth=[self.index.depth[k] for k in sure["stratum_id"]],
        ).sort_values(["t", "better", "depth", "stratum_id"])
        return list(zip(ranked.index, ranked["stratum_id"], strict=True))

    def _gaps(self, left: LabelRows, strata: Sequence[int]) -> pd.DataFrame:
        wanted = np.isin(np.arange(left.strata), list(strata))
        replicates = replicate_all(left, [self.metric], self.weights, wanted, self.config.runtime.block)
        return gap_table(left, [self.metric], replicates, self.index, self.config.recipe).set_index("stratum_id")
