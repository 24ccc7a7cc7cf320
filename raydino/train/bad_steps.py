"""What happens when a loss or a gradient is not finite: the step is left out, its batch kept, and N in a row end it.

DINOv2's code stops at the first NaN; a single bad batch is no reason to lose a run, a row of them is (dinov2#143).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from raydino.errors import UserError
from raydino.tracking import console
from raydino.train.distributed import is_main, rank, world_size

MAX_DUMPS = 3


class BadSteps:
    """Counts bad steps in a row. ``batch_size`` is that of all ranks together.

    The first few bad batches go to ``directory`` as ``step-<step>[-rank-<rank>].safetensors``: the batch's tensors, and
    ``positions``, the places of its films in the run's endless sequence of shuffled epochs.
    """

    def __init__(self, directory: Path, *, batch_size: int, max_in_a_row: int) -> None:
        self.directory = directory
        self.batch_size = batch_size
        self.max_in_a_row = max_in_a_row
        self.in_a_row = 0
        self.n_skipped = 0  # since this process began
        self._dumps = 0

    def good(self) -> None:
        """A step was finite."""
        self.in_a_row = 0

    def bad(self, step: int, batch: Any, values: Mapping[str, float]) -> None:
        """A step was not. Raises UserError when it is the last one allowed."""
        self.in_a_row += 1
        self.n_skipped += 1
        names = [name for name, value in values.items() if not math.isfinite(value)]
        shown = ", ".join(f"{name} {values[name]:.4g}" for name in names)
        kept = self._dump(step, batch)
        if is_main():
            _say(f"step {step} is left out: not finite ({shown}){f'; its batch is {kept}' if kept else ''}")
        if self.in_a_row >= self.max_in_a_row:
            rows = f", nor of the {self.in_a_row - 1} before" if self.in_a_row > 1 else ""
            raise UserError(
                f"loss or gradient of step {step} is not finite{rows} ({shown})",
                where=self.directory if self._dumps else None,
                remedy="lower recipe.optimizer.peak_lr, set recipe.optimizer.betas=[0.9,0.99] or "
                "runtime.precision=fp32; the last checkpoint is intact",
            )

    def _dump(self, step: int, batch: Any) -> Path | None:
        """Write the batch, if it is one of the first; a full disk does not end the run."""
        if self._dumps >= MAX_DUMPS or not hasattr(batch, "_asdict"):
            return None
        suffix = f"-rank-{rank()}" if world_size() > 1 else ""
        path = self.directory / f"step-{step:08d}{suffix}.safetensors"
        tensors = {name: t.cpu().contiguous() for name, t in batch._asdict().items() if isinstance(t, Tensor)}
        on_this_rank = self.batch_size // world_size()
        first = step * self.batch_size + rank() * on_this_rank
        tensors["positions"] = torch.arange(first, first + on_this_rank)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            save_file(tensors, path, metadata={"step": str(step)})
        except (OSError, SafetensorError) as error:
            _say(f"the batch of step {step} cannot be kept ({error})")
            return None
        self._dumps += 1
        return path


def _say(line: str) -> None:
    console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
