"""Is it the patients or the case mix? Gaps when everyone else has the stratum's mix (Glocker 2023).

Two groups that differ in age, view, site or prevalence differ in figures for that reason alone. So films are sorted
into cells of these confounders, and films of everyone else are weighted so that each cell weighs as much among
them as in the stratum (direct standardisation). Cells that only one side has cannot be compared and are left out of
both. What remains of the gap is not explained by the confounders that were named; it may be by others.

Weights are taken as given in the bootstrap of patients; intervals are normal, with its standard error.
Neighbours: ``replicates`` (weighted films), ``gaps`` (the same before).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from bias_audit.counts import count_strata
from bias_audit.metrics import Metric
from bias_audit.ranking import RankMetric
from bias_audit.replicates import Weights, replicate_all
from bias_audit.rows import Bools, Floats, Ints, LabelRows
from bias_audit.settings import AuditConfig
from bias_audit.sums import SumMetric

INSIDE, REST = 1, 2  # strata of a matched pair; 0 is both
PREVALENCE = "prevalence"  # the confounder that stands for the finding itself


@dataclass(frozen=True)
class Matched:
    """A stratum and everyone else with the same mix of confounders."""

    data: LabelRows  # films of shared cells; stratum INSIDE and stratum REST, weighted
    kept: float  # share of the stratum's films in shared cells
    kept_rest: float
    effective_rest: float  # films of equal weight that would be as many: (sum of weights)² / sum of squares


def match(data: LabelRows, cell: Ints, inside: Bools) -> Matched | None:
    """``cell`` [n]: the confounders' cell of each film. None where no cell has films of both sides."""
    cells = int(cell.max()) + 1 if len(cell) else 0
    count_in, count_rest = (np.bincount(cell[side], minlength=cells) for side in (inside, ~inside))
    shared = (count_in > 0) & (count_rest > 0)
    if not shared.any():
        return None
    weight_of = np.divide(count_in, count_rest, out=np.zeros(cells), where=shared)
    weight: Floats = np.where(inside, 1.0, weight_of[cell])
    keep = shared[cell]
    member = np.stack([np.zeros(len(cell), np.int64), np.where(inside, INSIDE, REST)], axis=1)
    rest = weight[keep & ~inside]
    return Matched(
        LabelRows(data.rows.take(keep), data.patient[keep], member[keep], 3, weight[keep]),
        kept=float(count_in[shared].sum() / count_in.sum()),
        kept_rest=float(count_rest[shared].sum() / count_rest.sum()),
        effective_rest=float(rest.sum() ** 2 / (rest**2).sum()),
    )


def comparable(metrics: Sequence[Metric]) -> list[Metric]:
    """Metrics with a worse end that weighted films have; with prevalence made equal, those that move with it too."""
    kinds = (SumMetric, RankMetric)
    chosen = [metric for metric in metrics if metric.better and not metric.mirror_of and isinstance(metric, kinds)]
    return [replace(metric, better=None) for metric in chosen]  # untested: everyone else is a stratum here


def matched_gaps(
    data: LabelRows, cell: Ints, inside: Bools, metrics: Sequence[Metric], weights: Weights, config: AuditConfig
) -> list[dict[str, object]]:
    """One row a metric: figures of either side, the gap with interval and p-value, and how many films remain."""
    matched = match(data, cell, inside)
    if matched is None:
        nobody: dict[str, object] = {"status": "undefined", "reason": "nobody else has such films"}
        return [{"metric": metric.name} | nobody for metric in metrics]
    replicates = replicate_all(matched.data, metrics, weights, np.ones(3, bool), config.runtime.block)
    recipe = config.recipe
    counts, _ = count_strata(matched.data)
    rows = []
    for metric in metrics:
        row: dict[str, object] = {"metric": metric.name, "kept": matched.kept, "kept_rest": matched.kept_rest}
        row["effective_rest"] = matched.effective_rest
        statuses = [counts.status(side, metric, recipe.min_patients, recipe.min_positives) for side in (INSIDE, REST)]
        status = next((found for found in statuses if found[0] != "ok"), ("ok", None))
        if status[0] == "ok":
            sides = [replicates[metric.name].inside[side] for side in (INSIDE, REST)]
            row |= _gap(sides[0], sides[1], recipe.confidence)
        rows.append(row | {"status": status[0], "reason": status[1]})
    return rows


def _gap(inside: Floats, rest: Floats, confidence: float) -> dict[str, float]:
    gap = inside - rest
    error = float(np.nanstd(gap[1:]))
    half = float(stats.norm.ppf((1 + confidence) / 2)) * error
    p_value = float(2 * stats.norm.sf(abs(gap[0]) / error)) if error > 0 else np.nan
    numbers = {"estimate": inside[0], "rest": rest[0], "gap": gap[0], "ci_low": gap[0] - half, "ci_high": gap[0] + half}
    return {name: float(value) for name, value in numbers.items()} | {"p_value": p_value}


def confounder_cells(codes: Mapping[str, Ints], leave_out: Sequence[str], target: Floats) -> Ints:
    """[n] one number a combination of the confounders ``codes`` (axis → [n]), without the compared axes."""
    columns = [code for name, code in codes.items() if name not in leave_out and name != PREVALENCE]
    if PREVALENCE in codes:
        columns.append(target.astype(np.int64))
    if not columns:
        return np.zeros(len(target), np.int64)
    return np.asarray(np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)[1]).reshape(-1)
