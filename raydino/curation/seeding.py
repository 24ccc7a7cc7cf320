"""Greedy k-means++ seeding (Arthur & Vassilvitskii 2007) at the speed of matrix products.

k-means++ draws each seed with a probability proportional to D², the squared distance to the nearest seed so far, and so
must bring D² up to date after every draw. Here many rows are drawn at once from a D² that is out of date, and each is
accepted with probability D² now / D² then, where "now" counts the seeds chosen a moment ago. As D² only falls, this is
rejection sampling: the rows accepted have the very distribution of k-means++, drawn one by one. Then one product brings
D² up to date for all seeds of a round, and one pass over the vectors serves hundreds of them.

The greedy variant makes a seed of that one of several accepted rows which lowers the sum of D² most. Which one that
is, a sample of the vectors (the jury) tells well enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raydino.curation import loops
from raydino.curation.blocks import F32, I64, Block, Queries, Vectors, squared_to_own
from raydino.curation.kernels import product_type
from raydino.curation.nearest import Search
from raydino.curation.shares import Share
from raydino.curation.side_by_side import side_by_side
from raydino.errors import UserError

_TRIALS = 4  # rows accepted for one seed
_SEEDS = (512, 1024)  # of a round where none is refused, with fewer and with more seeds than the second of these
_JURY = 8192  # vectors of the jury, at most


@dataclass(frozen=True)
class Seeds:
    """``rows`` [K] of the vectors that are seeds, and of this process's vectors which of them is the nearest, and its
    squared distance."""

    rows: I64
    assignment: I64  # [vectors of this process's share]
    squared: F32


def plus_plus(vectors: Vectors, n_seeds: int, *, rng: np.random.Generator, share: Share, queries: Queries) -> Seeds:
    """``n_seeds`` distinct rows of ``vectors`` [N, D], distributed as those of k-means++.

    ``queries`` are the vectors of this process's ``share``.
    Every process must have an ``rng`` in the same state. Raises UserError where there are fewer distinct vectors.
    """
    chosen = [np.asarray([rng.integers(len(vectors))])]
    assignment = np.zeros(len(share), np.int64)
    device = queries.origin.device
    first = torch.from_numpy(np.asarray(vectors[chosen[0]], np.float32)).to(device)
    squared = squared_to_own(queries, first, assignment)
    jury = np.sort(rng.choice(len(vectors), min(len(vectors), _JURY), replace=False))
    judges = torch.from_numpy(np.asarray(vectors[jury], np.float32)).to(device) - queries.origin
    n_chosen = 1
    while n_chosen < n_seeds:
        then = share.whole(squared)
        rows = _draw(then, _TRIALS * _SEEDS[n_chosen >= _SEEDS[1]], rng)
        if len(rows) == 0:
            raise UserError(
                f"{n_seeds} clusters were asked for, and there are {n_chosen} distinct vectors",
                remedy="ask for fewer clusters",
            )
        drawn = torch.from_numpy(np.asarray(vectors[rows], np.float32)).to(device) - queries.origin
        accepted = _choose(rows, then[rows], drawn, then[jury], judges, rng.random(len(rows)))
        chosen.append(rows[accepted[: n_seeds - n_chosen]])
        seeds = np.asarray(vectors[chosen[-1]], np.float32)
        _bring_up_to_date(queries, seeds, n_chosen, assignment, squared)
        n_chosen += len(seeds)
    return Seeds(np.concatenate(chosen), assignment, squared)


def _bring_up_to_date(queries: Queries, seeds: F32, first: int, assignment: I64, squared: F32) -> None:
    """Let ``assignment`` and ``squared`` of the queries know of ``seeds`` [m, D], numbered from ``first``."""
    device = queries.origin.device
    search = Search(torch.from_numpy(seeds).to(device), queries.origin)

    def nearer(mine: slice, block: Block) -> tuple[I64, I64, F32]:
        """Which of a block are nearer to a seed than to any before it: their places, the seed, the squared distance."""
        before = torch.from_numpy(squared[mine]).to(device)
        rows, seed, distance = (found.cpu().numpy() for found in search.nearer(block, before))
        return mine.start + rows, seed, distance

    for _, _, (places, seed, now) in side_by_side(nearer, queries.blocks(), device):
        squared[places], assignment[places] = now, first + seed


def _draw(squared: F32, n: int, rng: np.random.Generator) -> I64:
    """``n`` rows with probability proportional to ``squared`` [N]; none if all are 0."""
    mass = np.cumsum(squared, dtype=np.float64)
    if mass[-1] == 0:
        return np.empty(0, np.int64)
    rows = np.searchsorted(mass, rng.random(n) * mass[-1], side="right")
    return np.minimum(rows, np.searchsorted(mass, mass[-1]))  # a product may have been rounded up to the whole mass


def _choose(rows: I64, then: F32, drawn: Tensor, jury: F32, judges: Tensor, uniform: npt.NDArray[np.float64]) -> I64:
    """The seeds among m ``rows`` drawn in this order with probability proportional to D² ``then`` [m].

    ``drawn`` [m, D] are these vectors, ``judges`` [n, D] a sample of all vectors, with D² ``jury`` [n].
    """
    dtype = product_type(drawn.device)
    rounded, others = drawn.to(dtype), judges.to(dtype)
    among, with_jury = ((rounded @ right.T).bfloat16().view(torch.uint16) for right in (rounded, others))
    norms, jury_norms = (vectors.square().sum(1) for vectors in (drawn, judges))
    arrays = (t.cpu().numpy() for t in (drawn, norms, among, jury_norms, with_jury))
    return loops.choose(rows, then.copy(), jury.copy(), *arrays, uniform, _TRIALS)
