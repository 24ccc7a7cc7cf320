"""Checkpoints: one file a step, written whole, loaded without running anything (``weights_only``)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

from raydino.errors import UserError

FORMAT_VERSION = 1
_NAME = re.compile(r"step-(\d{8})\.pt")


def save_checkpoint(directory: Path, step: int, state: dict[str, Any], *, keep: int = 2) -> Path:
    """Write ``step-<step>.pt`` through a temporary name, then drop all but the newest ``keep``.

    A full disk or a kill leaves the older checkpoints intact.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"step-{step:08d}.pt"
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            torch.save({"format": FORMAT_VERSION, "step": step, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"the checkpoint of step {step} cannot be written ({error})",
            where=directory,
            remedy="free space and continue with --resume: the last good checkpoint is intact",
        ) from error
    for old in _by_step(directory)[:-keep]:
        old.unlink()
    return path


def newest_checkpoint(directory: Path) -> Path | None:
    """The checkpoint of the highest step, or None."""
    found = _by_step(directory)
    return found[-1] if found else None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state that ``save_checkpoint`` was given, with ``step``. Raises UserError when it cannot be read."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever broken bytes make it raise
        reason = " ".join(str(error).split())[:150]
        raise UserError(f"cannot be read as a checkpoint ({reason})", where=path) from None
    if state.get("format") != FORMAT_VERSION:
        raise UserError(f"a checkpoint of format {state.get('format')!r}, not {FORMAT_VERSION}", where=path)
    return state


def _by_step(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))
