"""Schedules over optimiser steps: pure functions of the step, so that a resume needs no state."""

from __future__ import annotations

import math


def cosine(step: int, *, start: float, end: float, n_steps: int) -> float:
    """From ``start`` at step 0 to ``end`` at step ``n_steps`` along half a cosine; ``end`` after that."""
    progress = min(step / max(n_steps, 1), 1.0)
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * progress))


def linear_then_constant(step: int, *, start: float, end: float, warmup_steps: int) -> float:
    """From ``start`` to ``end`` in ``warmup_steps``, then ``end``."""
    if step >= warmup_steps:
        return end
    return start + (end - start) * step / warmup_steps


def warmup_cosine(step: int, *, peak: float, end: float, warmup_steps: int, n_steps: int) -> float:
    """From 0 linearly to ``peak`` in ``warmup_steps``, then along half a cosine to ``end``."""
    if step < warmup_steps:
        return peak * step / warmup_steps
    return cosine(step - warmup_steps, start=peak, end=end, n_steps=n_steps - warmup_steps)
