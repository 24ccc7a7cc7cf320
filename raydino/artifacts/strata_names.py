"""How groups of patients are called in an audit's tables, for those who write them and those who look a patient up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

EVERYONE = "all"  # the axis that parts nobody, and its one stratum
UNKNOWN = "UNKNOWN"
TIMES = " × "  # between crossed axes and between their strata


def age_bands(edges_years: Sequence[float]) -> tuple[str, ...]:
    """From young to old, each from its lower end (included) to the next (excluded).

    >>> age_bands((18, 40, 80))
    ('<18', '18–39', '40–79', '80+')
    """
    inner = [f"{low:g}–{high - 1:g}" for low, high in pairwise(edges_years)]
    return (f"<{edges_years[0]:g}", *inner, f"{edges_years[-1]:g}+")
