"""The audit as a pure function: a table of predictions and settings in, tables out. The Python API.

``audit`` knows no files: ``inputs`` reads them, ``render`` writes them. Same rows in any order, same seed, same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bias_audit.axes import Axis
from bias_audit.counts import count_strata
from bias_audit.estimates import interval_of, parts_of
from bias_audit.flags import flag_gaps
from bias_audit.gaps import gap_table
from bias_audit.inputs import AuditTable
from bias_audit.intervals import patient_multiplicities
from bias_audit.masks import MEASURED
from bias_audit.metrics import Metric, metrics_for
from bias_audit.replicates import Replicates, Weights, replicate_all
from bias_audit.rows import LabelRows, Rows
from bias_audit.settings import AuditConfig
from bias_audit.strata import Partition, StrataIndex, cohort_table, index_of, partitions
from bias_audit.vocabulary import fairness_row, fairness_table
from raydino.artifacts.audit import GAPS, STRATA
from raydino.errors import UserError

Progress = Callable[[Iterable[str]], Iterable[str]]


@dataclass(frozen=True)
class AuditResult:
    """Everything that the report says. Tables follow raydino.artifacts.audit."""

    table: AuditTable
    config: AuditConfig
    partitions: tuple[Partition, ...]
    index: StrataIndex
    cohort: pd.DataFrame  # axis, stratum, n_images, n_patients, share
    strata: pd.DataFrame
    gaps: pd.DataFrame
    fairness: pd.DataFrame  # fairlearn's vocabulary, see vocabulary.COLUMNS
    by_label: dict[str, LabelRows]


def audit(
    table: AuditTable, axes: Iterable[Axis], config: AuditConfig | None = None, progress: Progress = lambda items: items
) -> AuditResult:
    """Every metric in every stratum, every gap, and flags. ``progress`` wraps the loop over labels."""
    config = config or AuditConfig()
    recipe = config.recipe
    parts = tuple(partitions(table.films, list(axes), recipe.depth))
    index = index_of(parts)
    patient = np.unique(table.films["patient_id"].to_numpy(str), return_inverse=True)[1]
    weights = patient_multiplicities(int(patient.max()) + 1, recipe.bootstraps, np.random.default_rng(recipe.seed))
    by_label: dict[str, LabelRows] = {}
    metrics: dict[str, Metric] = {}
    strata, gaps, fairness = [], [], []
    groups = {str(label): rows for label, rows in table.rows.groupby("label", sort=True)}
    for label in progress(list(groups)):
        data, unknown = label_rows(groups[label], patient, index)
        has_threshold = label in table.thresholds
        chosen = metrics_for(recipe.metrics, table.task, label, recipe.no_finding, has_threshold=has_threshold)
        metrics.update({metric.name: metric for metric in chosen})
        one = _Label(label, data, unknown, chosen, weights, index, config)
        by_label[label] = data
        strata.append(one.strata)
        gaps.append(one.gaps)
        if table.task == "classification" and has_threshold:
            fairness += one.fairness(parts)
    if not any(len(frame) for frame in gaps):
        raise UserError(f"none of the metrics {', '.join(recipe.metrics)} can be compared in a {table.task} table")
    flagged = flag_gaps(pd.concat(gaps, ignore_index=True), by_label, metrics, weights, index, config)
    return AuditResult(
        table=table,
        config=config,
        partitions=parts,
        index=index,
        cohort=cohort_table(table.films, parts),
        strata=pd.concat(strata, ignore_index=True)[[column.name for column in STRATA.columns]],
        gaps=flagged[[column.name for column in GAPS.columns]],
        fairness=fairness_table(fairness),
        by_label=by_label,
    )


def label_rows(
    rows: pd.DataFrame, patient: npt.NDArray[np.int64], index: StrataIndex
) -> tuple[LabelRows, npt.NDArray[np.int64]]:
    """Known rows of one label by score, and the number of unknown ones in each stratum."""
    film = rows["film"].to_numpy(np.int64)
    known = rows["known"].to_numpy(bool)
    unknown = np.bincount(index.membership[film[~known]].ravel(), minlength=len(index)).astype(np.int64)
    kept = rows[known].sort_values(["score", "film"], kind="stable")
    film = kept["film"].to_numpy(np.int64)
    target, score, threshold = (kept[name].to_numpy(np.float64) for name in ("target", "score", "threshold"))
    answers = Rows(target, score, threshold, {n: kept[n].to_numpy(np.float64) for n in MEASURED if n in kept})
    return LabelRows(answers, patient[film], index.membership[film], len(index)), unknown


class _Label:
    """One label's part of the tables."""

    def __init__(
        self,
        label: str,
        data: LabelRows,
        unknown: npt.NDArray[np.int64],
        metrics: list[Metric],
        weights: Weights,
        index: StrataIndex,
        config: AuditConfig,
    ) -> None:
        self.label, self.data, self.unknown, self.index, self.recipe = label, data, unknown, index, config.recipe
        self.counts, _ = count_strata(data)
        self.verdicts = {m.name: [self._verdict(k, m) for k in range(len(index))] for m in metrics}
        wanted = np.array([any(self.verdicts[m.name][k][0] == "ok" for m in metrics) for k in range(len(index))])
        replicates = replicate_all(data, metrics, weights, wanted, config.runtime.block)
        self.strata = pd.concat([self._estimates(metric, replicates[metric.name]) for metric in metrics])
        self.gaps = gap_table(data, metrics, replicates, index, config.recipe).assign(label=label)

    def _verdict(self, k: int, metric: Metric) -> tuple[str, str | None]:
        return self.counts.status(k, metric, self.recipe.min_patients, self.recipe.min_positives)

    def _estimates(self, metric: Metric, replicates: Replicates) -> pd.DataFrame:
        ok = np.array([status == "ok" for status, _ in self.verdicts[metric.name]])
        estimate = np.where(ok, replicates.inside[:, 0], np.nan)
        low = high = estimate
        if ok.any():
            parts = parts_of(self.data, metric)
            low, high = interval_of(replicates.inside, parts, float(replicates.inside[0, 0]), metric, self.recipe.confidence)
        status, reason = zip(*self.verdicts[metric.name], strict=True)
        return pd.DataFrame(
            {
                "axis": self.index.axes,
                "stratum": self.index.names,
                "label": self.label,
                "metric": metric.name,
                "n_images": self.counts.films["all"],
                "n_patients": self.counts.patients["all"],
                "n_positive": self.counts.films["positive"],
                "n_positive_patients": self.counts.patients["positive"],
                "n_unknown": self.unknown,
                "estimate": estimate,
                "ci_low": np.where(ok, low, np.nan),
                "ci_high": np.where(ok, high, np.nan),
                "status": status,
                "reason": reason,
            }
        )

    def fairness(self, parts: Iterable[Partition]) -> list[dict[str, object]]:
        """Rows in fairlearn's words, one a plain axis."""
        recipe, counts = self.recipe, self.counts
        enough = (
            (counts.patients["all"] >= recipe.min_patients)
            & (counts.patients["positive"] >= recipe.min_positives)
            & (counts.patients["negative"] >= recipe.min_positives)
        )
        names = np.array(self.index.names, dtype=object)
        rows = []
        for column, part in enumerate(parts):
            if part.depth != 1:
                continue
            member = self.data.member[:, column]
            eligible = {str(names[k]) for k in np.unique(member) if enough[k]}
            rows.append(fairness_row(self.label, part.axis, self.data.rows, names[member].astype(str), eligible))
        return rows
