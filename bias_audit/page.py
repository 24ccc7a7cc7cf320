"""The audit as one HTML page that needs nothing else: its style, script and plots stand inside, nothing is loaded.

The script sorts, filters and shows hints; without it the page says the same. Templates hold the words, this module
what they are filled with. Neighbours: ``render`` writes the file, ``figures`` draws, ``digest`` counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
import pandas as pd

from bias_audit.audit import AuditResult
from bias_audit.figures import case_mix_plot, label_figures
from bias_audit.inputs import DEFAULT_THRESHOLD
from bias_audit.metrics import metric_named
from bias_audit.rates import UNDERDIAGNOSIS_RATE
from bias_audit.standards import FDA_NOTE, TOPICS
from bias_audit.wording import count, interval, is_no_finding, number, p_text, percent, who
from raydino.artifacts.strata_names import UNKNOWN

Row = dict[str, Any]
KEY = ("axis", "stratum", "label", "metric")
MOST_FINDINGS = 6  # on the first page; the others follow folded
MOST_DRAWN = 12  # gaps of the picture of the case mix


def environment(titles: dict[str, str]) -> jinja2.Environment:
    """Templates with the words and figures that all of them use."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("bias_audit", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=number, interval=interval, p=p_text, percent=percent, count=count)
    made.globals.update(
        title_of=lambda axis: titles.get(axis, axis),
        who=lambda axis, stratum: who(axis, stratum, titles),
        metric_named=metric_named,
        UNKNOWN=UNKNOWN,
    )
    return made


def render_html(result: AuditResult, report: Mapping[str, Any]) -> str:
    """The page as text; ``report`` is what report.json holds."""
    titles = {part.axis: part.title for part in result.partitions}
    recipe, task = result.config.recipe, result.table.task
    no_finding = any(is_no_finding(label, recipe.no_finding) for label in result.by_label)
    plain = [part.axis for part in result.partitions if part.depth == 1]
    mixed = mixed_gaps(report)
    return (
        environment(titles)
        .get_template("report.html")
        .render(
            report=report,
            recipe=recipe,
            plain=plain,
            crossed=[part.axis for part in result.partitions if part.depth >= 2],
            metrics=[metric_named(name) for name in dict.fromkeys(result.strata["metric"])],
            overview=_overview(result, report),
            split_names=list(dict.fromkeys(row["split"] for row in report["splits"])),
            split_rows=_split_rows(report),
            heats=heat_maps(report, plain, recipe.margin_of),
            figures=label_figures(result, titles),
            mixed=mixed,
            mixed_plot=case_mix_plot([row for row in mixed if _drawn(row)][:MOST_DRAWN], titles),
            underdiagnosis=UNDERDIAGNOSIS_RATE if no_finding and task == "classification" else None,
            default_threshold=DEFAULT_THRESHOLD,
            choices=flat(result.config.resolved()),
            topics=TOPICS,
            fda_note=FDA_NOTE,
            most_findings=MOST_FINDINGS,
        )
    )


def _overview(result: AuditResult, report: Mapping[str, Any]) -> list[Row]:
    """One row a label: counts and every metric over everyone, with the number of flags."""
    flags = result.gaps.groupby("label")["flagged"].sum()
    rows: dict[str, Row] = {}
    for cell in report["strata"]:
        if cell["axis"] == "all":
            row = rows.setdefault(cell["label"], {"label": cell["label"], "cells": {}, "first": cell})
            row["cells"][cell["metric"]] = cell
            row["flags"] = int(flags.get(cell["label"], 0))
    return list(rows.values())


def _split_rows(report: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, Row]]]]:
    """Axis → stratum → split → its counts."""
    cells: dict[str, dict[str, Row]] = {}
    for row in report["splits"]:
        cells.setdefault(row["axis"], {}).setdefault(row["stratum"], {})[row["split"]] = row
    return [(axis, list(strata.items())) for axis, strata in cells.items()]


def heat_maps(report: Mapping[str, Any], plain: list[str], margin_of: Any) -> list[Row]:
    """One map a metric: labels are columns, strata of plain axes are rows; each cell a gap with its shade."""
    maps: dict[str, Row] = {}
    for gap in report["gaps"]:
        if gap["axis"] not in plain:
            continue
        one = maps.setdefault(gap["metric"], {"metric": metric_named(gap["metric"]), "labels": [], "axes": {}})
        if gap["label"] not in one["labels"]:
            one["labels"].append(gap["label"])
        cells = one["axes"].setdefault(gap["axis"], {}).setdefault(gap["stratum"], {})
        cells[gap["label"]] = gap | {"shade": shade(gap, margin_of(gap["metric"]))}
    return list(maps.values())


def shade(gap: Row, margin: float) -> str:
    """``worse-1`` to ``better-3`` by how many margins the gap is wide; ``even`` below one, ``none`` without a gap."""
    if gap["gap"] is None:
        return "none"
    level = min(3, int(abs(gap["gap"]) / margin)) if margin else 3
    return f"{gap['direction']}-{level}" if level and gap["direction"] else "even"


def mixed_gaps(report: Mapping[str, Any]) -> list[Row]:
    """Rows of the case mix with the gap as it was beside them, where that was tested; the largest gaps first."""
    before = {tuple(gap[name] for name in KEY): gap for gap in report["gaps"]}
    rows = []
    for row in report["case_mix"]:
        gap = before.get(tuple(row[name] for name in KEY), {})
        was = {"before": gap.get("gap"), "before_low": gap.get("ci_low"), "before_high": gap.get("ci_high")}
        rows.append(row | was | {"flagged": bool(gap.get("flagged"))})
    return sorted(rows, key=lambda row: (not row["flagged"], -abs(row["before"] or 0.0)))


def _drawn(row: Row) -> bool:
    unit = metric_named(row["metric"]).limits == (0.0, 1.0)
    return unit and row["status"] == "ok" and row["before"] is not None


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Dotted setting → its value as text, in the order of the config."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            rows += flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            rows.append((f"{prefix}{name}", ", ".join(map(str, value)) or "none"))
        else:
            rows.append((f"{prefix}{name}", "none" if value in ("", {}, None) or pd.isna(value) else str(value)))
    return rows
