"""Which plots the report shows: a forest plot a label and metric, and ROC curves by the first axis.

Plots hold the plain axes; a flagged pair of axes joins them, so that no flagged gap goes unseen.
Neighbours: ``plots`` draws, ``render`` places.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bias_audit.audit import AuditResult
from bias_audit.metrics import metric_named
from bias_audit.plots import LINES, Mark, forest, roc
from bias_audit.rows import Floats, LabelRows
from bias_audit.wording import number, who


def label_figures(result: AuditResult, titles: dict[str, str]) -> list[dict[str, Any]]:
    """For each label: its name, whether something is flagged, and SVGs with captions."""
    tested = [name for name in dict.fromkeys(result.strata["metric"]) if metric_named(name).tested]
    figures = []
    for label, strata in result.strata.groupby("label", sort=True):
        gaps = result.gaps[result.gaps["label"] == label]
        plots = []
        for name in tested:
            of_metric = strata[strata["metric"] == name]
            if len(of_metric):
                svg = _forest(str(label), name, of_metric, gaps[gaps["metric"] == name], result, titles)
                plots.append({"title": metric_named(name).title, "meaning": metric_named(name).meaning, "svg": svg})
        curves = _roc(str(label), strata, result, titles)
        if curves:
            plots.append(curves)
        figures.append({"label": label, "plots": plots, "flags": int(gaps["flagged"].sum())})
    return figures


def _forest(
    label: str, name: str, strata: pd.DataFrame, gaps: pd.DataFrame, result: AuditResult, titles: dict[str, str]
) -> str:
    flagged = set(zip(gaps["axis"][gaps["flagged"]], gaps["stratum"][gaps["flagged"]], strict=True))
    marks: list[Mark] = []
    overall = None
    for part in result.partitions:
        rows = strata[strata["axis"] == part.axis]
        if part.depth >= 2:
            rows = rows[[(part.axis, stratum) in flagged for stratum in rows["stratum"]]]
        if rows.empty:
            continue
        if part.depth:
            marks.append(Mark(part.title, None, None, None, "", heading=True))
        marks += [_mark(row, (part.axis, row["stratum"]) in flagged) for _, row in rows.iterrows()]
        if part.depth == 0:
            overall = marks[0].estimate
    return forest(f"{metric_named(name).title}, {label}", marks, overall)


def _mark(row: pd.Series, flagged: bool) -> Mark:
    name = "Everyone" if row["axis"] == "all" else str(row["stratum"])
    if row["status"] != "ok":
        text = str(row["status"]).replace("_", " ")
        return Mark(name, None, None, None, f"{text}: {row['reason'].split(',')[0]}")
    return Mark(name, row["estimate"], row["ci_low"], row["ci_high"], f"n = {row['n_images']}", flagged)


def _roc(label: str, strata: pd.DataFrame, result: AuditResult, titles: dict[str, str]) -> dict[str, Any] | None:
    """ROC curves of the strata of the first axis that have an AUROC, five at most."""
    part = next((part for part in result.partitions if part.depth == 1), None)
    rows = strata[(strata["metric"] == "auroc") & (strata["status"] == "ok")]
    rows = rows[rows["axis"] == (part.axis if part else None)]
    if part is None or len(rows) < 2:
        return None
    names = list(zip(result.index.axes, result.index.names, strict=True))
    curves = []
    for _, row in rows.head(len(LINES)).iterrows():
        fpr, tpr = _curve(result.by_label[label], names.index((row["axis"], row["stratum"])))
        curves.append((f"{who(row['axis'], row['stratum'], titles)}, AUROC {number(row['estimate'])}", fpr, tpr))
    title = f"ROC curves by {part.axis}"
    return {"title": title, "meaning": "sensitivity at every threshold", "svg": roc(f"{title}, {label}", curves)}


def _curve(data: LabelRows, stratum: int) -> tuple[Floats, Floats]:
    """False and true positive rates at each distinct score, from (0, 0) to (1, 1)."""
    inside = data.inside(stratum)
    target, score = data.rows.target[inside][::-1], data.rows.score[inside][::-1]  # rows rise with the score
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    tpr, fpr = np.cumsum(target)[last] / target.sum(), np.cumsum(1 - target)[last] / (1 - target).sum()
    return np.insert(fpr, 0, 0.0), np.insert(tpr, 0, 0.0)
