"""The curve of a run as one PNG, drawn from its ``metrics.jsonl``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from raydino.tracking import read_metrics

_PANELS = (
    ("losses", ("loss", "dino_global", "dino_local", "ibot", "koleo"), "nats"),
    ("teacher's target entropy", ("teacher_entropy",), "nats (flat at ln K: collapse)"),
    ("k-NN probe on validation", ("knn_auroc",), "macro AUROC"),
    ("learning rate", ("lr",), ""),
    ("gradient norms before clipping", ("grad_norm/backbone", "grad_norm/dino_head", "grad_norm/ibot_head"), ""),
    ("share of time waiting for data", ("data_wait_share",), ""),
)


def plot_curves(metrics_path: Path, target: Path) -> None:
    """Draw every panel that has values against the step."""
    rows = read_metrics(metrics_path)
    figure, axes = plt.subplots(2, 3, figsize=(15, 7), constrained_layout=True)
    for axis, (title, names, unit) in zip(axes.flat, _PANELS, strict=True):
        for name in names:
            points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
            if points:
                steps, values = zip(*points, strict=True)
                axis.plot(steps, values, label=name, marker="o" if len(points) < 20 else None, markersize=3)
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.set_ylabel(unit)
        axis.grid(alpha=0.3)
        if len(names) > 1 and rows:
            axis.legend(fontsize=8)
    figure.savefig(target, dpi=90)
    plt.close(figure)
