"""Mitigation after the fact: fitted on validation predictions, judged on test, gain beside cost. Pure functions.

Before and after are the same films, so ``compare`` tells them apart as two models: patients drawn together, intervals
of every change, of gaps and of everyone. Neighbours: ``treatments`` (the methods), ``mitigation_run`` (files and page).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bias_audit.audit import Progress
from bias_audit.axes import Axis
from bias_audit.compare import Changes, compare
from bias_audit.inputs import AuditTable
from bias_audit.metrics import same_label
from bias_audit.settings import AuditConfig, Recipe
from bias_audit.treatments import METHODS, GroupedFilms, Groups, Method, Rate
from raydino.artifacts.audit import MITIGATED, MITIGATED_GAPS, TREATMENTS
from raydino.artifacts.strata_names import TIMES
from raydino.errors import UserError

WARNING = (
    "Every method here uses the patient's group at the time of decision: it must be known then, lawful to use, and "
    "the same finding on the same film may be called in one group and not in another."
)
METRICS = (
    "sensitivity",
    "specificity",
    "underdiagnosis_rate",
    "balanced_accuracy",
    "auroc",
    "brier",
    "ece",
    "selection_rate",
)


@dataclass(frozen=True)
class Mitigation:
    """What each method did. Tables follow raydino.artifacts.audit."""

    treatments: pd.DataFrame  # what was fitted for each method, label and group
    changes: pd.DataFrame  # figures of everyone and of groups, before and after
    gaps: pd.DataFrame  # gaps before and after
    tables: dict[str, AuditTable]  # method → the test table after it
    compared: dict[str, Changes]
    config: AuditConfig


def mitigate(
    val: AuditTable,
    test: AuditTable,
    axes: tuple[Sequence[Axis], Sequence[Axis]],
    config: AuditConfig,
    methods: Sequence[str],
    progress: Progress = lambda items: items,
) -> Mitigation:
    """Fit each of ``methods`` on ``val``, apply it to ``test``, compare. ``axes``: of val, of test; crossed.

    Raises UserError where the tables share a patient or have no label in common, or are no classification.
    """
    _require_apart(val, test)
    config = judged_config(config, len(axes[1]))
    groups = (groups_of(val, axes[0]), groups_of(test, axes[1]))
    tables, compared, treated, changes, gaps = {}, {}, [], [], []
    for name in progress(list(methods)):
        tables[name], rows = apply_method(name, METHODS.get(name), (val, test), groups, config.recipe)
        treated += rows
        found = compared[name] = compare(test, tables[name], (axes[1], axes[1]), config)
        changes.append(found.figures.assign(method=name))
        gaps.append(found.gaps.assign(method=name))
    return Mitigation(
        treatments=pd.DataFrame(treated)[[column.name for column in TREATMENTS.columns]],
        changes=pd.concat(changes, ignore_index=True)[[column.name for column in MITIGATED.columns]],
        gaps=pd.concat(gaps, ignore_index=True)[[column.name for column in MITIGATED_GAPS.columns]],
        tables=tables,
        compared=compared,
        config=config,
    )


def judged_config(config: AuditConfig, axes: int) -> AuditConfig:
    """The metrics that mitigation is judged by, and all axes crossed: the groups themselves are a stratum each."""
    recipe = config.recipe.model_copy(update={"metrics": METRICS, "depth": axes})
    return config.model_copy(update={"recipe": recipe})


def groups_of(table: AuditTable, axes: Sequence[Axis]) -> Groups:
    """[films] the group of each film: its strata of all axes together."""
    parts = [axis.assign(table.films) for axis in axes]
    return np.array([TIMES.join(map(str, words)) for words in zip(*parts, strict=True)], dtype=object)


def apply_method(
    name: str, method: Method, tables: tuple[AuditTable, AuditTable], groups: tuple[Groups, Groups], recipe: Recipe
) -> tuple[AuditTable, list[dict[str, object]]]:
    """``method`` fitted on the first table and applied to the second, label by label; and what was fitted."""
    val, test = tables
    rows, told = test.rows.copy(), []
    for label in sorted(set(val.rows["label"]) & set(rows["label"])):
        known = val.rows[(val.rows["label"] == label) & val.rows["known"]]
        counted = count_groups(known, val, groups[0], recipe)
        enough = [row["group"] for row in counted if row["status"] == "ok"]
        here = rows["label"] == label
        settings: dict[str, str] = {}
        if len(enough) > 1:
            rate: Rate = "true_positive_rate" if not same_label(label, recipe.no_finding) else "false_positive_rate"
            try:
                treatment = method(films_of(known, groups[0]), [str(group) for group in enough], rate, recipe.seed)
            except UserError as error:
                counted = [row | {"status": "undefined", "reason": error.what} for row in counted]
            else:
                settings = treatment.settings
                score, threshold = treatment.apply(films_of(rows[here], groups[1]))
                rows.loc[here, "score"], rows.loc[here, "threshold"] = score, threshold
        told += [{"method": name, "label": label, "setting": settings.get(str(row["group"]))} | row for row in counted]
    return replace(test, rows=rows, source=f"{test.source}, {name}"), told


def films_of(rows: pd.DataFrame, group: Groups) -> GroupedFilms:
    """Rows of one label with their groups."""
    target, score, threshold = (rows[name].to_numpy(np.float64) for name in ("target", "score", "threshold"))
    return GroupedFilms(target, score, threshold, group[rows["film"].to_numpy(np.int64)])


def count_groups(known: pd.DataFrame, table: AuditTable, group: Groups, recipe: Recipe) -> list[dict[str, object]]:
    """One row a group: patients of one label, and whether both classes have enough of them."""
    film = known["film"].to_numpy(np.int64)
    frame = pd.DataFrame(
        {"group": group[film], "patient": table.films["patient_id"].to_numpy()[film], "positive": known["target"] == 1}
    )
    found = []
    for name, rows in frame.groupby("group", sort=True):
        patients = rows["patient"].nunique()
        positive, negative = (int(rows["patient"][rows["positive"] == one].nunique()) for one in (True, False))
        few = patients < recipe.min_patients or min(positive, negative) < recipe.min_positives
        reason = f"{patients} patients, {positive} with the finding, {negative} without: left as it was"
        found.append(
            {
                "group": name,
                "n_patients": patients,
                "n_positive_patients": positive,
                "status": "too_few" if few else "ok",
                "reason": reason if few else None,
            }
        )
    return found


def _require_apart(val: AuditTable, test: AuditTable) -> None:
    for table in (val, test):
        if table.task != "classification":
            raise UserError(f"mitigation is for findings; {table.source} holds {table.task}")
    if not set(val.rows["label"]) & set(test.rows["label"]):
        raise UserError(f"{val.source} and {test.source} have no label in common")
    both = set(val.films["patient_id"]) & set(test.films["patient_id"])
    if both:
        raise UserError(
            f"{len(both)} patients are in both tables, such as {min(both)!r}",
            where=test.source,
            remedy="fit on predictions of the validation split, judge on those of the test split",
        )
