"""What trackers of the outside must remember of a run: which of their runs it is, and up to which step they were told.

A killed run falls back to its last checkpoint and takes some steps again. They come out as before, so a tracker
that was told of them is not told twice. Kept in ``trackers/NAME.json`` of the run directory.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


class TrackedRun:
    """The memory of the tracker called ``name``; empty in a new run directory."""

    def __init__(self, directory: Path, name: str) -> None:
        self._path = directory / "trackers" / f"{name}.json"
        known = json.loads(self._path.read_text(encoding="utf-8")) if self._path.is_file() else {}
        self.run_id: str | None = known.get("run_id")
        self.last_step = int(known.get("last_step", 0))

    def begin(self, run_id: str) -> None:
        """Remember the outside's name of this run."""
        self.run_id = run_id
        self._write()

    def is_new(self, step: int) -> bool:
        """Whether ``step`` was never told; it then counts as told, so that a kill loses a row and doubles none."""
        if step <= self.last_step:
            return False
        self.last_step = step
        self._write()
        return True

    def _write(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        partial = self._path.with_name(f".{self._path.name}.partial")
        partial.write_text(json.dumps({"run_id": self.run_id, "last_step": self.last_step}) + "\n", encoding="utf-8")
        os.replace(partial, self._path)


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are numbers."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def flat_config(directory: Path) -> dict[str, Any]:
    """``resolved.yaml`` of the run by dotted key; empty where there is none."""
    path = directory / "resolved.yaml"
    return dict(_leaves(yaml.safe_load(path.read_text(encoding="utf-8")), "")) if path.is_file() else {}


def _leaves(values: Any, name: str) -> list[tuple[str, Any]]:
    if not isinstance(values, dict):
        return [(name, values)]
    return [leaf for key, value in values.items() for leaf in _leaves(value, f"{name}.{key}" if name else str(key))]
