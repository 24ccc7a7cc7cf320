"""What a person sees while work goes on: progress bars, and metrics written step by step.

``JsonlTracker`` always writes; the others stand in files of their own behind the registry of trackers, and are
imported only where a run asks for them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from raydino.registry import Registry

T = TypeVar("T")
console = Console(stderr=True)


@contextmanager
def progress_bar(*, shown: bool = True, transient: bool = False) -> Iterator[Progress]:
    """A bar on stderr with count, elapsed and remaining time; a ``transient`` one leaves no line when it is done."""
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not shown, transient=transient) as bar:
        yield bar


def track(items: Iterable[T], description: str, *, total: int | None = None) -> Iterator[T]:
    """Yield ``items`` under a progress bar."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar() as bar:
        task = bar.add_task(description, total=total, note="")
        for item in items:
            yield item
            bar.advance(task)


class Tracker(Protocol):
    """Receives the metrics of a step; one is made for each run directory."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record ``metrics`` at ``step``."""

    def close(self) -> None:
        """Flush and release what is held."""


@runtime_checkable
class PictureTracker(Protocol):
    """A tracker that also shows pictures."""

    def picture(self, step: int, path: Path) -> None:
        """Show the PNG at ``path``; its stem is its name."""


def show_picture(trackers: Iterable[Tracker], step: int, path: Path) -> None:
    """Hand a picture to those trackers that show pictures."""
    for tracker in trackers:
        if isinstance(tracker, PictureTracker):
            tracker.picture(step, path)


class JsonlTracker:
    """``metrics.jsonl``: one JSON object a line, ``{"step": …, name: value, …}``.

    A resumed run first drops the lines after its checkpoint, so no step stands twice.
    """

    def __init__(self, directory: Path, *, resume_step: int = 0) -> None:
        path = directory / "metrics.jsonl"
        kept = [row for row in read_metrics(path) if row["step"] <= resume_step] if path.is_file() else []
        partial = path.with_name(".metrics.jsonl.partial")
        partial.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        partial.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        finite = {name: (float(v) if math.isfinite(v) else None) for name, v in metrics.items()}
        self._file.write(json.dumps({"step": step, **finite}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


TRACKERS = Registry(
    "tracker",
    "raydino.trackers",
    {
        "jsonl": "raydino.tracking:JsonlTracker",
        "mlflow": "raydino.tracking.mlflow_tracker:MlflowTracker",
        "tensorboard": "raydino.tracking.tensorboard_tracker:TensorBoardTracker",
        "wandb": "raydino.tracking.wandb_tracker:WandbTracker",
    },
)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``metrics.jsonl``; a last line cut off by a kill is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
