"""Weights & Biases, where it is installed (``pip install wandb``).

Offline unless WANDB_MODE says otherwise: it writes to ``wandb/`` of the run directory, and ``wandb sync`` uploads that
later. WANDB_PROJECT names the project; WANDB_ENTITY and the rest work as wandb documents them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import wandb

from raydino.tracking.tracked_run import TrackedRun, finite, flat_config


class WandbTracker:
    """One wandb run for each run directory; a resumed run goes on in the same one."""

    def __init__(self, directory: Path, *, resume_step: int = 0) -> None:
        self._memory = TrackedRun(directory, "wandb")
        if not self._memory.run_id:
            self._memory.begin(secrets.token_hex(4))
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "raydino",
            name=directory.resolve().name,
            id=self._memory.run_id,
            resume="allow",
            dir=str(directory),
            mode=os.environ.get("WANDB_MODE") or "offline",
            config=flat_config(directory),
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._memory.is_new(step):
            self._run.log(finite(metrics), step=step)

    def picture(self, step: int, path: Path) -> None:
        if step > self._memory.last_step:  # the row of this step is still to come; wandb joins equal steps
            self._run.log({f"pictures/{path.stem}": wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        self._run.finish()
