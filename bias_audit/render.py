"""Writes the audit artifact: two parquet tables, report.json, and report.html that needs nothing else.

The page is one Jinja template with its style inside and its plots inline; it loads nothing from the
network and runs no script. Neighbours: ``wording`` (sentences), ``plots`` (SVG), ``audit`` (tables).
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from bias_audit.audit import AuditResult
from bias_audit.figures import label_figures
from bias_audit.inputs import DEFAULT_THRESHOLD
from bias_audit.metrics import metric_named
from bias_audit.rates import UNDERDIAGNOSIS_RATE
from bias_audit.strata import is_unknown
from bias_audit.wording import (
    count,
    finding_sentence,
    interval,
    is_no_finding,
    number,
    p_text,
    percent,
    summary_sentence,
    who,
)
from raydino import __version__
from raydino.artifacts.audit import CASE_MIX, FAIRNESS, GAPS, REFERENCES, SPREADS, STRATA
from raydino.artifacts.header import write_json

DISCLAIMER = "Research use only, never a diagnosis."
LIBRARIES = ("numpy", "pandas", "scipy", "fairlearn")


def write_audit(result: AuditResult, directory: Path) -> None:
    """Write the tables (strata, gaps, references, spreads, case_mix, fairness), report.json and report.html."""
    STRATA.write(result.strata, directory / "strata.parquet")
    GAPS.write(result.gaps, directory / "gaps.parquet")
    REFERENCES.write(result.references, directory / "references.parquet")
    SPREADS.write(result.spreads, directory / "spreads.parquet")
    CASE_MIX.write(result.case_mix, directory / "case_mix.parquet")
    FAIRNESS.write(result.fairness, directory / "fairness.parquet")
    report = report_values(result)
    write_json(directory / "report.json", report)
    (directory / "report.html").write_text(render_html(result, report), encoding="utf-8")


def report_values(result: AuditResult) -> dict[str, Any]:
    """Everything the report says, as JSON types; a figure that does not exist is null."""
    table, recipe = result.table, result.config.recipe
    titles = axis_titles(result)
    return {
        "use": DISCLAIMER,
        "summary": summary_sentence(result.gaps, len(result.by_label)),
        "findings": _findings(result, titles),
        "input": {
            "source": table.source,
            "task": table.task,
            "splits": list(table.splits),
            "films": len(table.films),
            "patients": int(table.films["patient_id"].nunique()),
            "labels": list(result.by_label),
            "thresholds": {label: {"lowest": low, "highest": high} for label, (low, high) in table.thresholds.items()},
            "fingerprints": table.inputs,
            "notes": list(table.notes),
        },
        "cohort": _records(result.cohort),
        "cannot_be_said": _cannot_be_said(result),
        "strata": _records(result.strata),
        "gaps": _records(result.gaps),
        "references": _records(result.references),
        "spreads": _records(result.spreads),
        "case_mix": _records(result.case_mix),
        "fairlearn": _records(result.fairness),
        "methods": {
            "settings": result.config.resolved(),
            "seed": recipe.seed,
            "producer": f"raydino {__version__}",
            "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        },
    }


def axis_titles(result: AuditResult) -> dict[str, str]:
    """Axis name → title."""
    return {part.axis: part.title for part in result.partitions}


def _findings(result: AuditResult, titles: dict[str, str]) -> list[dict[str, Any]]:
    """Flagged gaps, those to the worse before those to the better, the largest first."""
    strata = result.strata.set_index(["axis", "stratum", "label", "metric"])
    flagged = result.gaps[result.gaps["flagged"]]
    flagged = flagged.assign(better=flagged["direction"] == "better", size=-flagged["gap"].abs())
    flagged = flagged.sort_values(["better", "size", "label", "metric", "axis", "stratum"])
    found = []
    for _, gap in flagged.iterrows():
        counts = strata.loc[(gap["axis"], gap["stratum"], gap["label"], gap["metric"])]
        found.append(
            {
                "sentence": finding_sentence(gap, counts, titles, result.config.recipe.confidence),
                **{name: gap[name] for name in ("axis", "stratum", "label", "metric", "direction")},
                "who": who(gap["axis"], gap["stratum"], titles),
                "explained_by": gap["explained_by"] if isinstance(gap["explained_by"], str) else None,
            }
        )
    return found


def _cannot_be_said(result: AuditResult) -> list[dict[str, Any]]:
    """By axis: how many gaps were tested, had too few patients, are undefined or hidden, with the reasons."""
    rows = []
    for axis, group in result.gaps.groupby("axis", sort=False):
        status = group["status"].value_counts()
        reasons = group.loc[group["status"] != "ok", "reason"].value_counts()
        rows.append(
            {
                "axis": str(axis),
                **{name: int(status.get(name, 0)) for name in ("ok", "too_few", "undefined", "suppressed")},
                "reasons": [{"reason": str(reason), "gaps": int(count)} for reason, count in reasons.items()],
            }
        )
    return rows


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if value is pd.NA:
        return None
    return bool(value) if isinstance(value, np.bool_) else value


def render_html(result: AuditResult, report: Mapping[str, Any]) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bias_audit", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    titles = axis_titles(result)
    environment.filters.update(number=number, interval=interval, p=p_text, percent=percent, count=count)
    environment.globals.update(
        title_of=lambda axis: titles.get(axis, axis),
        who=lambda axis, stratum: who(axis, stratum, titles),
        metric_named=metric_named,
        is_unknown=is_unknown,
    )
    no_finding = any(is_no_finding(label, result.config.recipe.no_finding) for label in result.by_label)
    metrics = [metric_named(name) for name in dict.fromkeys(result.strata["metric"])]
    return environment.get_template("report.html").render(
        report=report,
        recipe=result.config.recipe,
        titles=titles,
        single=[part.axis for part in result.partitions if part.depth == 1],
        pairs=[part.axis for part in result.partitions if part.depth >= 2],
        metrics=metrics,
        overview=_overview(result),
        figures=label_figures(result, titles),
        underdiagnosis=UNDERDIAGNOSIS_RATE if no_finding and result.table.task == "classification" else None,
        default_threshold=DEFAULT_THRESHOLD,
    )


def _overview(result: AuditResult) -> list[dict[str, Any]]:
    """One row a label: counts and every tested metric over everyone, with the number of flags."""
    everyone = result.strata[result.strata["axis"] == "all"]
    rows = []
    for label, group in everyone.groupby("label", sort=True):
        cells = {row["metric"]: row for row in _records(group)}
        first = next(iter(cells.values()))
        flags = int(result.gaps["flagged"][result.gaps["label"] == label].sum())
        rows.append({"label": label, "cells": cells, "first": first, "flags": flags})
    return rows
