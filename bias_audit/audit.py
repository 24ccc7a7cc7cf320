"""The audit as a pure function: a table of predictions and settings in, tables out. The Python API.

``audit`` knows no files: ``inputs`` reads them, ``render`` writes them. Same rows in any order, same seed, same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bias_audit.axes import Axis, choose_axes
from bias_audit.case_mix import PREVALENCE
from bias_audit.flags import flag_gaps, judge_references
from bias_audit.inputs import AuditTable
from bias_audit.intervals import patient_multiplicities
from bias_audit.label import LabelAudit
from bias_audit.masks import MEASURED
from bias_audit.measurements import ERRORS
from bias_audit.metrics import Metric, metrics_for
from bias_audit.rows import Bools, Ints, LabelRows, Rows
from bias_audit.settings import AuditConfig, Recipe
from bias_audit.splits import split_counts
from bias_audit.strata import Partition, StrataIndex, cohort_table, index_of, partitions, references_of
from bias_audit.suppression import Sums, small, suppressed
from raydino.artifacts.audit import CASE_MIX, FAIRNESS, GAPS, REFERENCES, SPREADS, STRATA
from raydino.artifacts.table import Table
from raydino.errors import UserError

Progress = Callable[[Iterable[str]], Iterable[str]]


@dataclass(frozen=True)
class AuditResult:
    """Everything that the report says. Tables follow raydino.artifacts.audit."""

    table: AuditTable
    config: AuditConfig
    partitions: tuple[Partition, ...]
    index: StrataIndex
    cohort: pd.DataFrame  # axis, stratum, n_images, n_patients, share; null where suppressed
    strata: pd.DataFrame  # every metric in every stratum
    gaps: pd.DataFrame  # each stratum against everyone else
    references: pd.DataFrame  # each stratum against the reference of its axis, where one was named
    spreads: pd.DataFrame  # of each axis: worst, largest difference, ratio
    case_mix: pd.DataFrame  # gaps with the confounders of recipe.case_mix made equal
    fairness: pd.DataFrame  # fairlearn's differences, see vocabulary
    splits: pd.DataFrame  # films and patients of the dataset by split (``splits.split_counts``); none where suppressed
    by_label: dict[str, LabelRows]


def audit(
    table: AuditTable, axes: Iterable[Axis], config: AuditConfig | None = None, progress: Progress = lambda items: items
) -> AuditResult:
    """Every metric in every stratum, every gap, and flags. ``progress`` wraps the loop over labels."""
    config = config or AuditConfig()
    recipe = config.recipe
    axes = list(axes)
    parts = tuple(partitions(table.films, axes, recipe.depth))
    index = index_of(parts)
    reference = references_of(recipe.reference, index)
    patient = np.unique(table.films["patient_id"].to_numpy(str), return_inverse=True)[1]
    weights = patient_multiplicities(int(patient.max()) + 1, recipe.bootstraps, np.random.default_rng(recipe.seed))
    cohort = cohort_table(table.films, parts)
    privacy = Privacy(Sums(parts, index), cohort["n_patients"].to_numpy(), recipe.suppress_below)
    confounders = _confounders(table, recipe)
    by_label: dict[str, LabelRows] = {}
    metrics: dict[str, Metric] = {}
    strata, gaps, references, spreads, case_mix, fairness = [], [], [], [], [], []
    groups = {str(label): rows for label, rows in table.rows.groupby("label", sort=True)}
    for label in progress(list(groups)):
        data, unknown, film = label_rows(groups[label], patient, index)
        has_threshold = label in table.thresholds
        chosen = metrics_for(recipe.metrics, table.task, label, recipe.no_finding, has_threshold=has_threshold)
        metrics.update({metric.name: metric for metric in chosen})
        if not chosen:
            continue
        one = LabelAudit(label, data, unknown, chosen, weights, index, config, privacy.hidden(data))
        by_label[label] = data
        strata.append(one.strata())
        gaps.append(one.gaps())
        references.append(one.references(reference))
        spreads += one.spreads()
        case_mix += one.case_mix({name: code[film] for name, code in confounders.items()})
        fairness += one.fairness()
    if not any(len(frame) for frame in gaps):
        raise UserError(
            f"none of the metrics {', '.join(recipe.metrics)} can be compared in a {table.task} table",
            remedy="what moves with prevalence or mirrors another metric is only described; add one that is tested",
        )
    return AuditResult(
        table=table,
        config=config,
        partitions=parts,
        index=index,
        cohort=privacy.without_hidden(cohort),
        strata=_in_order(pd.concat(strata, ignore_index=True), STRATA),
        gaps=_in_order(flag_gaps(pd.concat(gaps, ignore_index=True), by_label, metrics, weights, index, config), GAPS),
        references=_in_order(judge_references(pd.concat(references, ignore_index=True), recipe), REFERENCES),
        spreads=_in_order(pd.DataFrame(spreads), SPREADS),
        case_mix=_in_order(pd.DataFrame(case_mix), CASE_MIX),
        fairness=_in_order(pd.DataFrame(fairness), FAIRNESS),
        splits=split_counts(None if recipe.suppress_below else table.dataset, axes),
        by_label=by_label,
    )


def _confounders(table: AuditTable, recipe: Recipe) -> dict[str, Ints]:
    """Axis → its stratum [films] as a number, for what recipe.case_mix names; prevalence is the label's own affair."""
    named = [name for name in recipe.case_mix if name != PREVALENCE]
    axes = choose_axes(named, table.groups, recipe.age_edges_years, skip_absent=False)
    codes = {axis.name: np.unique(axis.assign(table.films).astype(str), return_inverse=True)[1] for axis in axes}
    absent = np.zeros(len(table.films), np.int64)
    return codes | ({PREVALENCE: absent} if PREVALENCE in recipe.case_mix else {})


def _in_order(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    return frame.reindex(columns=[column.name for column in table.columns])


class Privacy:
    """Which strata are hidden, in the cohort and for a label; none where ``below`` is 0."""

    def __init__(self, sums: Sums, patients: Ints, below: int) -> None:
        self.sums, self.below = sums, below
        if patients[0] < below:
            raise UserError(
                f"the table holds {patients[0]} patients, fewer than recipe.suppress_below = {below}",
                remedy="every figure would be hidden; audit more patients",
            )
        self.protect = small(patients, below)
        self.cohort = suppressed(patients, self.protect, sums, below)

    def hidden(self, data: LabelRows) -> Bools:
        """[strata] hidden for a label: all that the cohort hides, and where too few patients have a known answer."""
        patients = np.diff(data.patient_sums(np.ones(len(data.patient))).indptr).astype(np.int64)
        return suppressed(patients, self.cohort | small(patients, self.below), self.sums, self.below)

    def without_hidden(self, cohort: pd.DataFrame) -> pd.DataFrame:
        """The cohort table with nulls where a stratum is hidden."""
        shown = cohort.astype({"n_images": "Int64", "n_patients": "Int64"})
        shown.loc[self.cohort, ["n_images", "n_patients", "share"]] = pd.NA
        return shown if self.cohort.any() else cohort


def label_rows(rows: pd.DataFrame, patient: Ints, index: StrataIndex) -> tuple[LabelRows, Ints, Ints]:
    """Known rows of one label by score, the number of unknown ones in each stratum, and the film of each known row."""
    film = rows["film"].to_numpy(np.int64)
    known = rows["known"].to_numpy(bool)
    unknown = np.bincount(index.membership[film[~known]].ravel(), minlength=len(index)).astype(np.int64)
    kept = rows[known].sort_values(["score", "film"], kind="stable")
    film = kept["film"].to_numpy(np.int64)
    target, score, threshold = (kept[name].to_numpy(np.float64) for name in ("target", "score", "threshold"))
    answers = Rows(
        target, score, threshold, {n: kept[n].to_numpy(np.float64) for n in (*MEASURED, *ERRORS) if n in kept}
    )
    return LabelRows(answers, patient[film], index.membership[film], len(index)), unknown, film
