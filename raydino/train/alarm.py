"""Says collapse aloud while it happens: a line of plain words on the terminal (``monitors.warnings``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raydino.tracking import console, read_metrics
from raydino.train.monitors import limits, warnings

WATCHED = ("teacher_entropy", "feature_rank", "dino_global", "dino_local")


class Alarm:
    """A tracker that looks back over the run at each probe, and tells a pattern once, until it has gone."""

    def __init__(self, directory: Path, recipe: Mapping[str, Any]) -> None:
        path = directory / "metrics.jsonl"
        self._limits = limits(recipe)
        self._rows = read_metrics(path) if path.is_file() else []
        self._told: set[str] = set()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        watched = {name: metrics[name] for name in WATCHED if name in metrics}
        self._rows.append({"step": step, **watched})
        if "feature_rank" not in metrics:
            return
        found = warnings(self._rows, **self._limits)
        for pattern in found.keys() - self._told:
            console.print(f"warning: {found[pattern]}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        self._told = set(found)

    def close(self) -> None:
        """Nothing is held."""
