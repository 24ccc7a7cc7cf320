"""The training loop: everything that is not the method's mathematics.

A method offers ``begin_step`` (sets its schedules, returns what to log), ``losses`` (one or more parts of a step's
loss), ``clipped_parts`` and ``end_step``. The loop does autocast, backward, clipping, the optimiser, time
keeping, logging, and calls ``on_step`` after every step, where checkpoints and probes hang. A step whose loss or
gradient is not finite on any rank is left out on all: optimiser and teacher stay, schedules and data go on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from raydino.tracking import Tracker, progress_bar
from raydino.train.bad_steps import BadSteps
from raydino.train.distributed import all_sum, is_main, mean_over_ranks, world_size
from raydino.train.optim import clip_each
from raydino.train.pace import Pace
from raydino.train.stopping import Stop


class TrainingMethod(Protocol):
    """What the loop asks of a method."""

    def begin_step(self, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """Set schedules for ``step`` (0 is the first); returns their values."""

    def losses(self, batch: Any) -> Iterator[dict[str, Tensor]]:
        """Scalars, part after part, which add up to the step's; ``loss`` is minimised.

        The loop backpropagates each part before it asks for the next, so a method may spread a step over
        micro-batches without the loop knowing.
        """

    def clipped_parts(self) -> Mapping[str, nn.Module]:
        """Sub-modules whose gradients are clipped by themselves."""

    def end_step(self) -> None:
        """After the optimiser: the teacher's update. Not called for a step that is left out."""


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
    bad_steps: BadSteps,
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
            metrics = _take_step(method, optimizer, batch, step, clip_norm, autocast, bad_steps)
            metrics |= mean_over_ranks(pace.measure(started, waited))
            done = step + 1
            extra = on_step(done)
            if done % log_every_steps == 0 or extra or done == last_step or bad_steps.in_a_row:
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
    bad_steps: BadSteps,
) -> dict[str, float]:
    schedules = method.begin_step(step, optimizer)
    optimizer.zero_grad(set_to_none=True)
    totals: dict[str, Tensor] = {}
    parts = method.losses(batch)
    while True:
        with autocast:
            part = next(parts, None)
        if part is None:
            break
        part["loss"].backward()
        for name, value in part.items():
            totals[name] = totals[name] + value.detach() if name in totals else value.detach()
    norms = clip_each(method.clipped_parts(), clip_norm)
    values = _means_over_ranks({**totals, **{f"grad_norm/{name}": norm for name, norm in norms.items()}})
    # What is not finite on one rank is not finite in the mean, so all ranks decide alike.
    decisive = [value for name, value in values.items() if name == "loss" or name.startswith("grad_norm/")]
    if all(map(math.isfinite, decisive)):
        optimizer.step()
        method.end_step()
        bad_steps.good()
    else:
        optimizer.zero_grad(set_to_none=True)
        bad_steps.bad(step, batch, values)
    return {**values, **schedules, "skipped_steps": float(bad_steps.n_skipped)}


def _means_over_ranks(values: Mapping[str, Tensor]) -> dict[str, float]:
    """One collective and one wait for the device."""
    stacked = torch.stack([value.detach().float() for value in values.values()])
    return dict(zip(values, (all_sum(stacked) / world_size()).tolist(), strict=True))
