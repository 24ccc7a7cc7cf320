"""What ``raydino inspect`` tells of a pretraining run, and the run as one page. Never imports torch."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from raydino.artifacts.header import Header
from raydino.errors import UserError
from raydino.tracking import read_metrics
from raydino.train.monitors import limits, warnings

PICTURES = ("curves", "crops", "patches", "attention")
PROBES = ("knn_auroc", "linear_auroc")
RECENT_ROWS = 20  # speed is the median of so many


def facts(path: Path, header: Header) -> Iterator[tuple[str, str]]:
    """Progress, speed, the best probes, warnings, pictures and checkpoints, then every metric's last value."""
    rows = read_metrics(path / "metrics.jsonl") if (path / "metrics.jsonl").is_file() else []
    done, total = rows[-1]["step"] if rows else 0, header.config.get("steps")
    yield "steps done", f"{done} of {total}" if total is not None else str(done)
    yield from _speed(rows, header.config, done)
    for name in PROBES:
        probed = [(row[name], row["step"]) for row in rows if row.get(name) is not None]
        if probed:
            value, step = max(probed)
            yield f"best {name}", f"{value:.3f} at step {step}; last {probed[-1][0]:.3f}"
    found = warnings(rows, **limits(header.config)) if rows and "head" in header.config else {}
    for sentence in found.values():
        yield "warning", sentence
    if rows and not found:
        yield "collapse", "no sign of it"
    yield "pictures", ", ".join(str(picture) for picture in pictures(path)) or "none yet"
    checkpoints = sorted(p.name for p in (path / "checkpoints").glob("*")) if (path / "checkpoints").is_dir() else []
    yield "checkpoints", ", ".join(checkpoints) or "none"
    yield "encoder", "present" if (path / "encoder").is_dir() else "none yet"
    latest = {name: value for row in rows for name, value in row.items() if value is not None and name != "step"}
    for name, value in latest.items():
        yield name, f"{value:.6g}"


def _speed(rows: Sequence[Mapping[str, Any]], recipe: Mapping[str, Any], done: int) -> Iterator[tuple[str, str]]:
    seconds = [row["seconds_per_step"] for row in rows[-RECENT_ROWS:] if row.get("seconds_per_step")]
    if not seconds or "batch_size" not in recipe:
        return
    left = (recipe["steps"] - done) * median(seconds)
    more = f"; {left / 60:.0f} minutes left at that" if left > 0 else ""
    yield "speed lately", f"{recipe['batch_size'] / median(seconds):.3g} images/s, {median(seconds):.3g} s a step{more}"


def pictures(path: Path) -> list[Path]:
    """The run's pictures that are there."""
    return [path / f"{name}.png" for name in PICTURES if (path / f"{name}.png").is_file()]


def write_page(path: Path, told: Iterable[tuple[str, str]], out: Path) -> Path:
    """Write ``run.html`` into ``out``: what is told and every picture, in one file that needs no other."""
    name = html.escape(path.resolve().name)
    rows = "".join(f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>\n" for key, value in told)
    figures = "".join(
        f'<h2>{picture.stem}</h2>\n<img alt="{picture.stem}" src="data:image/png;base64,'
        f'{base64.b64encode(picture.read_bytes()).decode("ascii")}">\n'
        for picture in pictures(path)
    )
    style = (
        "body{font:15px/1.5 sans-serif;max-width:75em;margin:2em auto;padding:0 1em}"
        "th{text-align:left;font-weight:normal;color:#555;padding-right:1.5em;vertical-align:top}img{max-width:100%}"
    )
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{name}</title><style>{style}</style>\n'
        f"<h1>{name}</h1>\n{figures}<h2>figures</h2>\n<table>\n{rows}</table>\n</html>\n"
    )
    target = out / "run.html"
    try:
        out.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=target) from None
    return target
