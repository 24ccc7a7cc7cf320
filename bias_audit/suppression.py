"""Hiding small strata for privacy, so that they cannot be computed from what is shown.

A stratum of fewer patients than ``below`` is hidden: its counts and every figure. That is not enough, since the
strata of an axis add up: of an axis with one hidden stratum, total less the others gives it back. So every sum
that the tables hold (a stratum of one axis is the sum of its cells of a crossing) is written as an equation in
the hidden strata. A hidden stratum can be computed exactly where every solution of these equations gives it the
same value; while one of the small ones can, the smallest stratum in an equation with it is hidden too. The same
where the hidden strata of an equation hold fewer patients together than ``below``. What can still be told is a
range: that a hidden stratum holds at least 0 and at most what its sum leaves. Neighbours: ``strata`` (what adds
up), ``audit`` (the caller).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import null_space

from bias_audit.rows import Bools, Floats, Ints
from bias_audit.strata import Partition, StrataIndex
from raydino.artifacts.strata_names import TIMES


@dataclass(frozen=True)
class Sums:
    """Equations between strata: ``parent[e]`` is the sum of ``children[e]``."""

    parts: Sequence[Partition]
    index: StrataIndex

    @cached_property
    def equations(self) -> list[tuple[int, Ints]]:
        """Each stratum of an axis or crossing, and its cells in each crossing with one axis more."""
        names = [frozenset() if part.depth == 0 else frozenset(part.axis.split(TIMES)) for part in self.parts]
        found = []
        for i, inner in enumerate(names):
            for j, outer in enumerate(names):
                if outer < inner and len(inner) == len(outer) + 1:
                    pairs = np.unique(self.index.membership[:, [j, i]], axis=0)
                    found += [(int(k), pairs[pairs[:, 0] == k, 1]) for k in np.unique(pairs[:, 0])]
        return found


def small(patients: Ints, below: int) -> Bools:
    """Strata that hold somebody, but fewer than ``below``."""
    return np.asarray((patients > 0) & (patients < below))


def suppressed(patients: Ints, protect: Bools, sums: Sums, below: int) -> Bools:
    """[strata] which to hide so that no stratum to ``protect`` can be computed; everyone (stratum 0) stays."""
    hidden = protect.copy()
    while True:
        exposed = _exposed(hidden, protect, sums, patients, below)
        candidates: Ints = np.array(sorted({k for e in exposed for k in _of(sums.equations[e])}), np.int64)
        candidates = candidates[~hidden[candidates] & (candidates > 0)]
        if not len(candidates):
            return hidden
        occupied = np.where(patients[candidates] > 0, patients[candidates], patients.max() + 1)
        hidden[candidates[np.argmin(occupied)]] = True


def _of(equation: tuple[int, Ints]) -> list[int]:
    parent, children = equation
    return [parent, *(int(k) for k in children)]


def _exposed(hidden: Bools, protect: Bools, sums: Sums, patients: Ints, below: int) -> list[int]:
    """Equations that hold a protected stratum which can be computed, or hide too few patients together."""
    unknown = np.flatnonzero(hidden)
    column = {int(k): place for place, k in enumerate(unknown)}
    rows, thin = [], []
    for e, equation in enumerate(sums.equations):
        within = [k for k in _of(equation) if hidden[k]]
        if not within:
            continue
        row: Floats = np.zeros(len(unknown))
        for k in within:
            row[column[k]] = -1.0 if k == equation[0] else 1.0
        rows.append(row)
        children = equation[1][hidden[equation[1]]]
        if not hidden[equation[0]] and protect[children].any() and patients[children].sum() < below:
            thin.append(e)
    if not rows:
        return thin
    free = null_space(np.array(rows))
    fixed = {int(k) for k in unknown[(np.abs(free) < 1e-9).all(axis=1)] if protect[k]}
    return sorted({*thin, *(e for e, equation in enumerate(sums.equations) if fixed & set(_of(equation)))})
