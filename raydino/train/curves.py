"""The curves of a run, or of several over each other, as one PNG drawn from ``metrics.jsonl``. Never imports torch.

A run is drawn with one panel a question and one line a metric; runs are compared with one panel a metric and one
line a run. Colours are Okabe and Ito's, which colour-blind people tell apart.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from raydino.artifacts.header import read_header
from raydino.artifacts.run import RUN
from raydino.errors import UserError
from raydino.tracking import read_metrics

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
AT_MOST_POINTS = 300  # a line; more are averaged in even stretches
PROBED = "feature_rank"  # stands in the rows of a probe, and only there

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Panel:
    """One question; a name that ends in / stands for all metrics that begin with it."""

    title: str
    names: tuple[str, ...]
    unit: str = ""
    log: bool = False


@dataclass(frozen=True)
class Lines:
    """What one axis shows: points (step, value) by label, and a level drawn across, by its name."""

    panel: Panel
    points: dict[str, list[tuple[int, float]]]
    level: tuple[str, float] | None = None


RUN_PANELS = (
    Panel("losses", ("loss", "dino_global", "dino_local", "ibot", "koleo", "gram"), "nats"),
    Panel("entropy of the teacher's targets", ("teacher_entropy", "teacher_entropy_patch"), "nats"),
    Panel("share of prototypes used", ("prototypes_used",), log=True),
    Panel("probes on validation", ("knn_auroc", "linear_auroc"), "macro AUROC"),
    Panel("rank of the features", ("feature_rank", "patch_rank"), "directions", log=True),
    Panel("spread of the class tokens", ("neighbour_distance", "dimension_std", "mean_cosine")),
    Panel("gradient norms before clipping", ("grad_norm/",), log=True),
    Panel("learning rate", ("lr",)),
    Panel("speed", ("images_per_second",), "images/s"),
    Panel("share of time waiting for data", ("data_wait_share",)),
    Panel("steps skipped so far", ("skipped_steps",)),
)
COMPARED_PANELS = (
    Panel("loss", ("loss",), "nats"),
    Panel("entropy of the teacher's targets", ("teacher_entropy",), "nats"),
    Panel("k-NN probe on validation", ("knn_auroc",), "macro AUROC"),
    Panel("linear probe on validation", ("linear_auroc",), "macro AUROC"),
    Panel("rank of the class tokens", ("feature_rank",), "directions", log=True),
    Panel("mean cosine of the class tokens", ("mean_cosine",)),
)


def run_rows(directory: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The metrics of the run in ``directory``, with images a second, and its recipe.

    Raises UserError when it is no run or has no metrics yet.
    """
    recipe = read_header(directory, RUN).config
    path = directory / "metrics.jsonl"
    rows = read_metrics(path) if path.is_file() else []
    if not rows:
        raise UserError("this run has no metrics yet", where=directory, remedy="let raydino pretrain take some steps")
    for row in rows:
        seconds, batch = row.get("seconds_per_step"), recipe.get("batch_size")
        if seconds and batch:
            row.setdefault("images_per_second", batch / seconds)
    return rows, recipe


def plot_run(directory: Path, target: Path) -> None:
    """Draw every panel of which the run has values."""
    rows, recipe = run_rows(directory)
    drawn = []
    for panel in RUN_PANELS:
        points = {name: _points(rows, name) for name in _matching(rows, panel.names)}
        level = _uniform(recipe) if "teacher_entropy" in panel.names else None
        drawn.append(Lines(panel, {name: line for name, line in points.items() if line}, level))
    _draw([lines for lines in drawn if lines.points], target)


def plot_runs(directories: Sequence[Path], target: Path) -> None:
    """Draw the runs over each other; each is called by its directory's name."""
    runs = {directory.resolve().name: run_rows(directory) for directory in directories}
    if len(runs) < len(directories):
        runs = {str(directory): run_rows(directory) for directory in directories}
    levels = {_uniform(recipe) for _, recipe in runs.values()}
    drawn = []
    for panel in COMPARED_PANELS:
        points = {name: _points(rows, panel.names[0]) for name, (rows, _) in runs.items()}
        level = next(iter(levels)) if "teacher_entropy" in panel.names and len(levels) == 1 else None
        drawn.append(Lines(panel, points, level))
    _draw([lines for lines in drawn if any(lines.points.values())], target)


class CurvesTracker:
    """Draws ``curves.png`` anew at each probe and at the end; stands after the tracker that writes the metrics."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._is_stale = False

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._is_stale = True
        if PROBED in metrics:
            self.close()

    def close(self) -> None:
        if self._is_stale:
            plot_run(self._directory, self._directory / "curves.png")
            self._is_stale = False


def save_figure(figure: Any, target: Path, *, dpi: int = 90) -> None:
    """Write a PNG through a temporary name and close the figure, so that a reader never sees half of it."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        figure.savefig(partial, dpi=dpi, format="png")
        os.replace(partial, target)
    finally:
        plt.close(figure)
        partial.unlink(missing_ok=True)


def _draw(drawn: Sequence[Lines], target: Path) -> None:
    columns = min(4 if len(drawn) > 6 else 3, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.1 * columns, 2.9 * rows), constrained_layout=True, squeeze=False
    )
    for axis, lines in zip(axes.flat, drawn, strict=False):
        _draw_lines(axis, lines)
    for axis in axes.flat[len(drawn) :]:
        axis.set_visible(False)
    save_figure(figure, target)


def _draw_lines(axis: Any, lines: Lines) -> None:
    for (label, points), colour in zip(lines.points.items(), COLOURS * 3, strict=False):
        if points:
            steps, values = _thinned(points)
            marker = "o" if len(steps) < 25 else None
            axis.plot(steps, values, label=label, color=colour, linewidth=1.4, marker=marker, ms=3)
    if lines.level:
        name, level = lines.level
        axis.axhline(level, color="0.4", linestyle="--", linewidth=1, label=name)
    positive = [value for points in lines.points.values() for _, value in points if value > 0]
    if lines.panel.log and positive and max(positive) > 3 * min(positive):
        axis.set_yscale("log")
    axis.set_title(lines.panel.title, fontsize=10, loc="left")
    axis.set_xlabel("step", fontsize=8)
    axis.set_ylabel(lines.panel.unit, fontsize=8)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if len(lines.points) > 1 or lines.level:
        axis.legend(fontsize=7, frameon=False)


def _points(rows: Rows, name: str) -> list[tuple[int, float]]:
    return [(row["step"], row[name]) for row in rows if row.get(name) is not None]


def _matching(rows: Rows, names: Sequence[str]) -> list[str]:
    known = dict.fromkeys(key for row in rows for key in row)
    return [key for name in names for key in known if key == name or (name.endswith("/") and key.startswith(name))]


def _thinned(points: Sequence[tuple[int, float]]) -> tuple[list[float], list[float]]:
    array = np.asarray(points, float)
    parts = np.array_split(array, AT_MOST_POINTS) if len(array) > AT_MOST_POINTS else array[:, None]
    means = [part.mean(axis=0) for part in parts]
    return [float(m[0]) for m in means], [float(m[1]) for m in means]


def _uniform(recipe: Mapping[str, Any]) -> tuple[str, float] | None:
    """ln K, the entropy of targets that teach nothing."""
    n_prototypes = recipe.get("head", {}).get("n_prototypes")
    return ("uniform: ln K", math.log(n_prototypes)) if n_prototypes else None
