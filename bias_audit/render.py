"""Writes the audit artifact: parquet tables, report.json after its schema, and report.html.

Neighbours: ``audit`` (tables), ``digest`` and ``wording`` (what the first page says), ``page`` (the HTML).
"""

from __future__ import annotations

import importlib.metadata
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bias_audit.audit import AuditResult
from bias_audit.digest import detectable_by_axis, missingness, unsaid_by_axis, verdict_counts, worst_groups
from bias_audit.page import render_html
from bias_audit.schema import FORMATS, TABLES
from bias_audit.wording import finding_sentence, summary_sentence, sureness_sentence, who
from raydino import __version__
from raydino.artifacts.header import write_json

DISCLAIMER = "Research use only, never a diagnosis."
LIBRARIES = ("numpy", "pandas", "scipy", "fairlearn")


def write_audit(result: AuditResult, directory: Path) -> None:
    """Write the tables (strata, gaps, references, spreads, case_mix, fairness), report.json and report.html."""
    for name, layout in TABLES.items():
        layout.write(getattr(result, name), directory / f"{name}.parquet")
    report = report_values(result)
    write_json(directory / "report.json", report)
    (directory / "report.html").write_text(render_html(result, report), encoding="utf-8")


def report_values(result: AuditResult) -> dict[str, Any]:
    """Everything the report says, as JSON types; a figure that does not exist is null."""
    table, recipe = result.table, result.config.recipe
    titles = axis_titles(result)
    plain = [part.axis for part in result.partitions if part.depth == 1]
    return {
        **heading("report"),
        "about": result.config.about.resolved(),
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
        "cohort": records(result.cohort),
        "splits": records(result.splits),
        "verdicts": verdict_counts(result.gaps),
        "sureness": sureness_sentence(verdict_counts(result.gaps), recipe.margin),
        "missing": missingness(result.cohort, plain),
        "cannot_be_said": unsaid_by_axis(result.gaps),
        "detectable": detectable_by_axis(result.gaps),
        "worst": [{name: _plain(v) for name, v in row.items()} for row in worst_groups(result.spreads, plain)],
        **{name: records(getattr(result, name)) for name in TABLES},
        "methods": {
            "settings": result.config.resolved(),
            "seed": recipe.seed,
            "producer": f"raydino {__version__}",
            "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        },
    }


def heading(kind: str) -> dict[str, Any]:
    """How every report.json begins; ``kind`` is a key of ``FORMATS``."""
    name, version = FORMATS[kind]
    return {"format": name, "format_version": version, "use": DISCLAIMER}


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
                "gap": float(gap["gap"]),
                "who": who(gap["axis"], gap["stratum"], titles),
                "explained_by": gap["explained_by"] if isinstance(gap["explained_by"], str) else None,
            }
        )
    return found


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON types; a figure that does not exist is null."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if value is pd.NA:
        return None
    return bool(value) if isinstance(value, np.bool_) else value
