"""The training loop: everything that is not the method's mathematics.

A method offers ``begin_step`` (sets its schedules, returns what to log), ``losses`` (with a key
``loss``), ``clipped_parts`` and ``end_step``. The loop does autocast, backward, clipping, the optimiser,
time keeping, logging, and calls ``on_step`` after every step, where checkpoints and probes hang.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from raydino.errors import UserError
from raydino.tracking import Tracker, progress_bar
from raydino.train.distributed import is_main, mean_over_ranks
from raydino.train.optim import clip_each
from raydino.train.pace import Pace
from raydino.train.stopping import Stop


class TrainingMethod(Protocol):
    """What the loop asks of a method."""

    def begin_step(self, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """Set schedules for ``step`` (0 is the first); returns their values."""

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Scalars; ``loss`` is minimised."""

    def clipped_parts(self) -> Mapping[str, nn.Module]:
        """Sub-modules whose gradients are clipped by themselves."""

    def end_step(self) -> None:
        """After the optimiser: the teacher's update."""


def run_steps(
    method: TrainingMethod,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Any],
    *,
    first_step: int,
    last_step: int,
    clip_norm: float,
    autocast: torch.autocast,
    trackers: Sequence[Tracker],
    log_every_steps: int,
    on_step: Callable[[int], Mapping[str, float]],
    stop: Stop,
    pace: Pace,
) -> int:
    """Take steps ``first_step``..``last_step - 1``; returns the number of steps done in all.

    ``on_step(done)`` is called with the number of steps done and may return further metrics. A set
    ``stop`` ends the loop after the current step. Trackers get the mean over ranks.
    """
    with progress_bar(shown=is_main()) as bar:
        task = bar.add_task("pretraining", total=last_step, completed=first_step, note="")
        for step in range(first_step, last_step):
            started = time.perf_counter()
            batch = next(batches)
            waited = time.perf_counter() - started
            metrics = _take_step(method, optimizer, batch, step, clip_norm, autocast)
            metrics = mean_over_ranks({**metrics, **pace.measure(started, waited)})
            done = step + 1
            extra = on_step(done)
            if done % log_every_steps == 0 or extra or done == last_step:
                for tracker in trackers:
                    tracker.log(done, {**metrics, **extra})
            bar.update(task, completed=done, note=f"loss {metrics['loss']:.3f}")
            if stop.is_set():
                return done
    return last_step


def _take_step(
    method: TrainingMethod,
    optimizer: torch.optim.Optimizer,
    batch: Any,
    step: int,
    clip_norm: float,
    autocast: torch.autocast,
) -> dict[str, float]:
    schedules = method.begin_step(step, optimizer)
    with autocast:
        losses = method.losses(batch)
    values = {name: float(value.detach()) for name, value in losses.items()}
    if not torch.isfinite(losses["loss"]):
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise UserError(
            f"the loss of step {step} is not finite ({shown})",
            remedy="lower recipe.optimizer.peak_lr or set runtime.precision=fp32; the last checkpoint is intact",
        )
    optimizer.zero_grad(set_to_none=True)
    losses["loss"].backward()
    norms = clip_each(method.clipped_parts(), clip_norm)
    optimizer.step()
    method.end_step()
    return {**values, **schedules, **{f"grad_norm/{name}": norm for name, norm in norms.items()}}
