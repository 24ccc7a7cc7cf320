"""The figures of ``metrics.json`` as a table in the terminal."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

_SHORT = {
    "n_positive": "pos.",
    "n_negative": "neg.",
    "sensitivity": "sens.",
    "specificity": "spec.",
    "threshold": "thr.",
    "n_mentioned": "named",
    "n_reference": "n",
    "n_known": "n",
    "limits_low": "low",
    "limits_high": "high",
    "accuracy": "acc.",
    "balanced_accuracy": "bal. acc.",
    "f1_of_reference": "f1 ref.",
}
_PIPED_WIDTH = 160  # columns where there is no terminal to ask
_BESIDE = ("_low", "_high", "_uncalibrated")  # an interval stands in its figure's cell; the rest is in metrics.json


def print_metrics(metrics: dict[str, Any], *, title: str) -> None:
    """Print one row a label and one for the means; what is undefined or left out follows with its reason."""
    rows: dict[str, dict[str, float | None]] = metrics["per_label"]
    found = list(dict.fromkeys(name for row in rows.values() for name in row)) or list(metrics["overall"])
    names = [name for name in found if not name.endswith(_BESIDE)]
    table = Table(title=f"{title}: {metrics['n_films']} films")
    table.add_column("label", no_wrap=True)
    for name in names:
        table.add_column(_SHORT.get(name, name), justify="right")
    for label, row in rows.items():
        table.add_row(label, *(_cell(row, name) for name in names))
    table.add_section()
    overall = metrics["overall"]
    table.add_row("mean", *(_cell(overall, name) if name in overall else "" for name in names))
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    console.print(table)
    for label, reason in {**metrics["notes"], **metrics.get("left_out", {})}.items():
        console.print(f"{label}: {reason}", markup=False, highlight=False)


def _cell(row: dict[str, float | None], name: str) -> str:
    """A figure, with its interval below it where it has one."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    shown = _shown(row.get(name))
    return shown if low is None or high is None else f"{shown}\n{low:.2f}–{high:.2f}"


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value}" if isinstance(value, int) else f"{value:.3f}"
