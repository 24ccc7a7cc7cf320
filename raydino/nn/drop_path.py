"""Stand-in for drop-path, which another branch builds under the same names: it can be off, and nothing else."""

from __future__ import annotations

from torch import nn


def set_drop_path(module: nn.Module, rate: float) -> None:
    """Give every block of ``module`` the same ``rate``."""
    if rate:
        raise NotImplementedError("drop-path")


def reseed_drop_path(module: nn.Module, seed: int, step: int) -> None:
    """Make the next draws of ``module`` a function of (seed, step)."""
