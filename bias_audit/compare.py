"""Two models on the same films, or one model at two dates: which figures moved, and did any gap grow?

Patients of both tables are drawn together, each with all films of either, so that what is common to both cancels in the
difference (paired); patients of one table alone count in that one alone (unpaired), and any mixture is right as well.
Intervals and p-values of a change are Student's with the bootstrap's standard error on the patients behind it;
Benjamini–Hochberg over each table. Verdicts ask for the margin as those of gaps do (``verdicts``). A stratum that
moved by exactly 0 in every replicate (a small one, all right both times) is undecided, not unchanged.
``benchmarks/audit_changes_validity.py`` measures coverage, false alarms and power.
Neighbours: ``audit`` (one table), ``conditions`` (--fail-on), ``compare_page`` (the report).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from bias_audit.audit import Privacy, Progress, label_rows
from bias_audit.axes import Axis
from bias_audit.conditions import beyond_zero
from bias_audit.counts import Counts, count_strata
from bias_audit.flags import adjusted_p_values, questions
from bias_audit.inputs import AuditTable
from bias_audit.intervals import patient_multiplicities
from bias_audit.metrics import Metric, metric_named, metrics_for
from bias_audit.replicates import Replicates, Weights, replicate_all
from bias_audit.rows import Bools, Floats, Ints
from bias_audit.settings import AuditConfig
from bias_audit.strata import Partition, StrataIndex, cohort_table, index_of, partitions
from bias_audit.suppression import Sums
from raydino.artifacts.audit import CHANGES, GAP_CHANGES
from raydino.artifacts.table import Table
from raydino.errors import UserError

UNCHANGED, UNDECIDED = "unchanged", "undecided"


@dataclass(frozen=True)
class Changes:
    """What changed. Tables follow raydino.artifacts.audit."""

    old: AuditTable
    new: AuditTable
    config: AuditConfig
    partitions: tuple[Partition, ...]  # of the new table
    shared_patients: int
    shared_films: int
    figures: pd.DataFrame
    gaps: pd.DataFrame


class _Side:
    """One table cut into strata, its patients numbered together with the other's."""

    def __init__(self, table: AuditTable, axes: Sequence[Axis], everybody: pd.Index, config: AuditConfig) -> None:
        recipe = config.recipe
        self.table, self.config = table, config
        self.parts = tuple(partitions(table.films, axes, recipe.depth))
        self.index: StrataIndex = index_of(self.parts)
        self.patient: Ints = everybody.get_indexer(pd.Index(table.films["patient_id"].astype(str))).astype(np.int64)
        patients = cohort_table(table.films, self.parts)["n_patients"].to_numpy()
        self.privacy = Privacy(Sums(self.parts, self.index), patients, recipe.suppress_below)

    @cached_property
    def place(self) -> dict[tuple[str, str], int]:
        """(axis, stratum) → its number."""
        return {key: k for k, key in enumerate(zip(self.index.axes, self.index.names, strict=True))}

    def label(self, label: str, metrics: Sequence[Metric], weights: Weights) -> _Label:
        """The figures of one label in every replicate."""
        data, _, _ = label_rows(self.table.rows[self.table.rows["label"] == label], self.patient, self.index)
        wanted = np.ones(len(self.index), bool)
        inside, rest = count_strata(data)
        replicates = replicate_all(data, metrics, weights, wanted, self.config.runtime.block)
        return _Label(replicates, inside, rest, self.privacy.hidden(data))


@dataclass(frozen=True)
class _Label:
    replicates: dict[str, Replicates]
    inside: Counts
    rest: Counts
    hidden: Bools

    def status(self, k: int, metric: Metric, config: AuditConfig, *, against_rest: bool) -> tuple[str, str | None]:
        """Whether the figure, or its gap, can be said."""
        recipe = config.recipe
        if self.hidden[k]:
            return "suppressed", "hidden for privacy"
        found = self.inside.status(k, metric, recipe.min_patients, recipe.min_positives)
        if found[0] == "ok" and against_rest:
            found = self.rest.status(k, metric, recipe.min_patients, recipe.min_positives)
            return found[0], found[1] and f"everyone else: {found[1]}"
        if found[0] == "ok" and np.isnan(self.replicates[metric.name].inside[k, 0]):
            return "undefined", metric.no_value
        return found


def compare(
    old: AuditTable,
    new: AuditTable,
    axes: tuple[Sequence[Axis], Sequence[Axis]],
    config: AuditConfig,
    progress: Progress = lambda items: items,
) -> Changes:
    """Every metric and gap of the strata that both tables have. ``axes``: of the old table, and of the new.

    Raises UserError where the tables have no task or label in common.
    """
    if old.task != new.task:
        raise UserError(f"{old.source} holds {old.task}, {new.source} {new.task}", remedy="compare like with like")
    labels = sorted(set(old.rows["label"]) & set(new.rows["label"]))
    if not labels:
        raise UserError(f"{old.source} and {new.source} have no label in common")
    people = [pd.Index(table.films["patient_id"].astype(str).unique()) for table in (old, new)]
    everybody = people[0].union(people[1])
    recipe = config.recipe
    weights = patient_multiplicities(len(everybody), recipe.bootstraps, np.random.default_rng(recipe.seed))
    sides = [_Side(table, chosen, everybody, config) for table, chosen in zip((old, new), axes, strict=True)]
    common = [key for key in sides[1].place if key in sides[0].place]
    figures, gaps = [], []
    for label in progress(labels):
        threshold = label in old.thresholds and label in new.thresholds
        metrics = metrics_for(recipe.metrics, new.task, label, recipe.no_finding, has_threshold=threshold)
        both = tuple(side.label(label, metrics, weights) for side in sides)
        for metric in metrics:
            for key in common:
                at = (sides[0].place[key], sides[1].place[key])
                where = {"axis": key[0], "stratum": key[1], "label": label, "metric": metric.name}
                figures.append(where | _figure(metric, both, at, config))
                if metric.tested and key[0] != "all":
                    gaps.append(where | _gap(metric, both, at, config))
    return Changes(
        old=old,
        new=new,
        config=config,
        partitions=sides[1].parts,
        shared_patients=len(people[0].intersection(people[1])),
        shared_films=len(set(old.films["sample_id"]) & set(new.films["sample_id"])),
        figures=_judged(pd.DataFrame(figures), config, CHANGES),
        gaps=_judged(pd.DataFrame(gaps), config, GAP_CHANGES),
    )


def _figure(metric: Metric, both: tuple[_Label, ...], at: tuple[int, int], config: AuditConfig) -> dict[str, object]:
    statuses = [side.status(k, metric, config, against_rest=False) for side, k in zip(both, at, strict=True)]
    row: dict[str, object] = {
        f"n_patients_{age}": None if side.hidden[k] else int(side.inside.patients["all"][k])
        for age, side, k in zip(("old", "new"), both, at, strict=True)
    }
    values = [side.replicates[metric.name].inside[k] for side, k in zip(both, at, strict=True)]
    return row | _change(metric, both, at, statuses, values, config)


def _gap(metric: Metric, both: tuple[_Label, ...], at: tuple[int, int], config: AuditConfig) -> dict[str, object]:
    statuses = [side.status(k, metric, config, against_rest=True) for side, k in zip(both, at, strict=True)]
    found = [side.replicates[metric.name] for side in both]
    values = [one.inside[k] - one.rest[k] for one, k in zip(found, at, strict=True)]
    row = _change(metric, both, at, statuses, values, config)
    if row["status"] == "ok":
        row["widening"] = abs(float(values[1][0])) - abs(float(values[0][0]))
    return row


def _change(
    metric: Metric,
    both: tuple[_Label, ...],
    at: tuple[int, int],
    statuses: list[tuple[str, str | None]],
    values: list[Floats],
    config: AuditConfig,
) -> dict[str, object]:
    """New less old with interval and p-value, on the patients of the side that has fewer."""
    for whose, (status, reason) in zip(("old", "new"), statuses, strict=True):
        if status != "ok":
            return {"status": status, "reason": f"{whose}: {reason}"}
    change = values[1] - values[0]
    error = float(np.nanstd(change[1:]))
    freedom = min(int(side.inside.behind(metric)[k]) for side, k in zip(both, at, strict=True)) - 1
    half = float(stats.t.ppf((1 + config.recipe.confidence) / 2, freedom)) * error
    p_value = float(2 * stats.t.sf(abs(change[0]) / error, freedom)) if error > 0 else 1.0
    return {
        "old": float(values[0][0]),
        "new": float(values[1][0]),
        "change": float(change[0]),
        "ci_low": float(change[0] - half),
        "ci_high": float(change[0] + half),
        "p_value": p_value,
        "status": "ok",
        "reason": None,
    }


def _judged(frame: pd.DataFrame, config: AuditConfig, layout: Table) -> pd.DataFrame:
    """Adjusted p-values of metrics whose gaps are tested, and verdicts; columns in the order of ``layout``."""
    recipe = config.recipe
    frame = frame.reindex(columns=[column.name for column in layout.columns if column.name != "p_adjusted"])
    metric = frame["metric"].map(lambda name: metric_named(str(name)))
    tested = metric.map(lambda one: one.tested).astype(bool)
    frame["p_adjusted"] = adjusted_p_values(frame["p_value"].where(tested), questions(frame))
    margin = frame["metric"].map(recipe.margin_of).astype(float)
    sure, moved = frame["p_adjusted"] < recipe.alpha, frame["ci_high"] > frame["ci_low"]
    within = moved & (frame["ci_low"] > -margin) & (frame["ci_high"] < margin)
    if layout is GAP_CHANGES:
        choices = [
            ("widened", sure & (frame["widening"] >= margin)),
            ("narrowed", sure & (frame["widening"] <= -margin)),
            ("shifted", sure & (frame["change"].abs() >= margin)),
        ]
    else:
        good = frame["change"].where(metric.map(lambda one: one.better) == "higher", -frame["change"])
        choices = [("better", sure & (good >= margin)), ("worse", sure & (good <= -margin))]
    choices += [(UNCHANGED, within)]
    verdict = np.select([of for _, of in choices], [name for name, _ in choices], UNDECIDED)
    judged = tested & (frame["status"] == "ok")
    frame["verdict"] = pd.Series(verdict, frame.index, dtype=object).where(judged, None)
    return frame[[column.name for column in layout.columns]]


def change_quantities(changes: Changes) -> dict[str, float]:
    """Every quantity that --fail-on knows of a comparison; see ``conditions``."""
    gaps, figures = changes.gaps, changes.figures
    values = {name: float((gaps["verdict"] == name).sum()) for name in ("widened", "narrowed")}
    values |= {name: float((figures["verdict"] == name).sum()) for name in ("worse", "better")}
    for metric, rows in gaps[gaps["status"] == "ok"].groupby("metric"):
        values[f"widening:{metric}"] = float(rows["widening"].max())
        sure = np.minimum(beyond_zero(rows["ci_low"], rows["ci_high"]), rows["widening"].clip(lower=0))
        values[f"sure_widening:{metric}"] = float(sure.max())
    return values
