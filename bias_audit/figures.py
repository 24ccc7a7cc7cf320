"""Which plots the report shows of a label, and the same figures as tables for who cannot see or use them.

A forest plot a tested metric over the plain axes (a flagged crossing joins them, so that no flagged gap goes
unseen), and ROC and reliability curves by each plain axis. Neighbours: ``plots`` draws, ``page`` places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bias_audit.audit import AuditResult
from bias_audit.metrics import metric_named
from bias_audit.plots import LINES, Curve, Mark, forest, square
from bias_audit.reliability import LEAST, reliability_curve
from bias_audit.rows import Floats, LabelRows
from bias_audit.wording import number, who

AT_RATES = (0.05, 0.1, 0.2, 0.3, 0.5)  # false positive rates at which the table of a ROC plot is read
Titles = dict[str, str]


@dataclass(frozen=True)
class Plot:
    """A drawing with its caption, and the same as a table: heads, then rows of cells."""

    title: str
    meaning: str
    svg: str
    heads: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ()


def label_figures(result: AuditResult, titles: Titles) -> list[dict[str, Any]]:
    """For each label: its name, how many gaps are flagged, forest plots, curves, and what the forest plots show."""
    tested = [name for name in dict.fromkeys(result.strata["metric"]) if metric_named(name).tested]
    figures = []
    for label, strata in result.strata.groupby("label", sort=True):
        gaps = result.gaps[result.gaps["label"] == label]
        forests = []
        for name in tested:
            of_metric = strata[strata["metric"] == name]
            if len(of_metric):
                svg = _forest(str(label), name, of_metric, gaps[gaps["metric"] == name], result)
                forests.append(Plot(metric_named(name).title, metric_named(name).meaning, svg))
        figures.append(
            {
                "label": label,
                "flags": int(gaps["flagged"].sum()),
                "forests": forests,
                "curves": _curves(str(label), strata, result, titles),
                "metrics": [name for name in tested if name in set(strata["metric"])],
                "rows": _table(strata, tested, gaps, result),
            }
        )
    return figures


def _table(strata: pd.DataFrame, tested: list[str], gaps: pd.DataFrame, result: AuditResult) -> list[dict[str, Any]]:
    """One row a stratum of the forest plots: its counts and the row of each tested metric."""
    shown = _shown(result, gaps)
    rows = []
    for (axis, stratum), group in strata[strata["metric"].isin(tested)].groupby(["axis", "stratum"], sort=False):
        if (axis, stratum) in shown:
            cells = {str(row["metric"]): row for row in group.to_dict("records")}
            rows.append({"axis": axis, "stratum": stratum, "cells": cells, "first": next(iter(cells.values()))})
    return rows


def _shown(result: AuditResult, gaps: pd.DataFrame) -> set[tuple[str, str]]:
    """Strata of plain axes, and of crossings those that are flagged."""
    flagged = set(zip(gaps["axis"][gaps["flagged"]], gaps["stratum"][gaps["flagged"]], strict=True))
    plain = {(part.axis, stratum) for part in result.partitions if part.depth < 2 for stratum in part.strata}
    return plain | flagged


def _forest(label: str, name: str, strata: pd.DataFrame, gaps: pd.DataFrame, result: AuditResult) -> str:
    flagged = set(zip(gaps["axis"][gaps["flagged"]], gaps["stratum"][gaps["flagged"]], strict=True))
    shown = _shown(result, gaps)
    marks: list[Mark] = []
    overall = None
    for part in result.partitions:
        rows = strata[strata["axis"] == part.axis]
        rows = rows[[(part.axis, stratum) in shown for stratum in rows["stratum"]]]
        if rows.empty:
            continue
        if part.depth:
            marks.append(Mark(part.title, None, None, None, "", heading=True))
        marks += [_mark(row, (part.axis, row["stratum"]) in flagged) for _, row in rows.iterrows()]
        if part.depth == 0:
            overall = marks[0].estimate
    return forest(f"{metric_named(name).title}, {label}", marks, overall, metric_named(name).limits)


def _mark(row: pd.Series, flagged: bool) -> Mark:
    name = "Everyone" if row["axis"] == "all" else str(row["stratum"])
    if row["status"] != "ok":
        text = str(row["status"]).replace("_", " ")
        return Mark(name, None, None, None, f"{text}: {row['reason'].split(',')[0]}")
    return Mark(name, row["estimate"], row["ci_low"], row["ci_high"], f"n = {row['n_images']}", flagged)


def _curves(label: str, strata: pd.DataFrame, result: AuditResult, titles: Titles) -> list[Plot]:
    """ROC and reliability curves by each plain axis, of the strata that have an AUROC, the largest five."""
    plots: list[Plot] = []
    data, places = result.by_label[label], list(zip(result.index.axes, result.index.names, strict=True))
    ranked = strata[(strata["metric"] == "auroc") & (strata["status"] == "ok")]
    for part in result.partitions:
        rows = ranked[ranked["axis"] == part.axis]
        if part.depth != 1 or len(rows) < 2:
            continue
        largest = rows["n_images"].astype(float).sort_values(ascending=False, kind="stable").index[: len(LINES)]
        roc, reliability = [], []
        for _, row in rows.loc[sorted(largest)].iterrows():
            inside = data.inside(places.index((part.axis, row["stratum"])))
            name = who(part.axis, str(row["stratum"]), titles)
            roc.append(Curve(f"{name}, AUROC {number(row['estimate'])}", *roc_curve(data, inside)))
            x, y = reliability_curve(data.rows.target[inside], data.rows.score[inside])
            if len(x):
                reliability.append(Curve(name, x, y))
        plots.append(_roc_plot(label, part.title, roc))
        if reliability:
            plots.append(_reliability_plot(label, part.title, reliability))
    return plots


def _roc_plot(label: str, axis: str, curves: list[Curve]) -> Plot:
    title = f"ROC by {axis.lower()}"
    cells = []
    for curve in curves:
        reached = [curve.y[np.searchsorted(curve.x, rate, side="right") - 1] for rate in AT_RATES]
        cells.append((curve.name, *(number(float(y)) for y in reached)))
    return Plot(
        title,
        "sensitivity at every threshold",
        square(f"{title}, {label}", ("1 − specificity", "sensitivity"), curves),
        ("Group", *(f"Sensitivity at 1 − specificity of {rate:g}" for rate in AT_RATES)),
        tuple(cells),
    )


def _reliability_plot(label: str, axis: str, curves: list[Curve]) -> Plot:
    title = f"Calibration by {axis.lower()}"
    cells = tuple(
        (curve.name, str(k + 1), number(float(x)), number(float(y)))
        for curve in curves
        for k, (x, y) in enumerate(zip(curve.x, curve.y, strict=True))
    )
    return Plot(
        title,
        f"observed share against mean score, in bins of {LEAST} films or more; on the dashed line scores come true",
        square(f"{title}, {label}", ("mean score", "share with the finding"), curves, dots=True),
        ("Group", "Bin", "Mean score", "Share with the finding"),
        cells,
    )


def roc_curve(data: LabelRows, inside: Floats | Any) -> tuple[Floats, Floats]:
    """False and true positive rates at each distinct score, from (0, 0) to (1, 1)."""
    target, score = data.rows.target[inside][::-1], data.rows.score[inside][::-1]  # rows rise with the score
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    tpr, fpr = np.cumsum(target)[last] / target.sum(), np.cumsum(1 - target)[last] / (1 - target).sum()
    return np.insert(fpr, 0, 0.0), np.insert(tpr, 0, 0.0)


def case_mix_plot(rows: list[dict[str, Any]], titles: Titles) -> str | None:
    """Gaps as they are (hollow) and with an equal mix (full), of the ``rows`` chosen; None where there are none."""
    marks: list[Mark] = []
    for row in rows:
        group = who(row["axis"], row["stratum"], titles)
        marks.append(
            Mark(f"{row['label']}, {metric_named(row['metric']).title}: {group}", None, None, None, "", heading=True)
        )
        before = (row["before"], row["before_low"], row["before_high"])
        marks.append(Mark("as the films are", *before, "", hollow=True))
        marks.append(Mark("with an equal mix", row["gap"], row["ci_low"], row["ci_high"], ""))
    return forest("Gaps before and after the case mix is made equal", marks, 0.0, (-np.inf, np.inf)) if marks else None
