"""k-means++ seeding (Arthur & Vassilvitskii 2007) at the speed of matrix products.

k-means++ draws each seed with a probability proportional to D², the squared distance to the nearest seed so far, and so
must bring D² up to date after every draw. Here many seeds are drawn at once from a D² that is out of date, and each is
accepted with probability D² now / D² then, where "now" counts the seeds accepted a moment ago. As D² only falls, this is
rejection sampling: the seeds accepted have the very distribution of k-means++, drawn one by one. Then one product brings
D² up to date for all of them, and one pass over the vectors serves up to a thousand seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from raydino.curation.nearest import F32, I64, Search, Vectors, blocks, origin_of, squared_distances
from raydino.curation.shares import Share
from raydino.errors import UserError

_DRAWS = (64, 1024)  # in a round, at least and at most; between them as many as there are seeds


@dataclass(frozen=True)
class Seeds:
    """``rows`` [K] of the vectors that are seeds, and of this process's vectors which of them is the nearest."""

    rows: I64
    assignment: I64  # [vectors of this process's share]


def plus_plus(
    vectors: Vectors, n_seeds: int, *, rng: np.random.Generator, share: Share, device: torch.device
) -> Seeds:
    """``n_seeds`` distinct rows of ``vectors`` [N, D], distributed as those of k-means++.

    Every process must have an ``rng`` in the same state. Raises UserError where there are fewer distinct vectors.
    """
    chosen = [np.asarray([rng.integers(len(vectors))])]
    assignment = np.zeros(len(share), np.int64)
    squared = np.full(len(share), np.finfo(np.float32).max / 4, np.float32)
    origin = origin_of(vectors, device)
    n_chosen = 0
    while True:
        seeds = np.asarray(vectors[chosen[-1]], np.float32)
        _bring_up_to_date(vectors, seeds, n_chosen, assignment, squared, share, origin)
        n_chosen += len(seeds)
        if n_chosen == n_seeds:
            return Seeds(np.concatenate(chosen), assignment)
        n_draws = int(np.clip(n_chosen, *_DRAWS))
        chosen.append(_draw(vectors, share.whole(squared), n_draws, rng)[: n_seeds - n_chosen])
        if len(chosen[-1]) == 0:
            raise UserError(
                f"{n_seeds} clusters were asked for, and there are {n_chosen} distinct vectors",
                remedy="ask for fewer clusters",
            )


def _bring_up_to_date(
    vectors: Vectors,
    seeds: F32,
    first: int,
    assignment: I64,
    squared: F32,
    share: Share,
    origin: torch.Tensor,
) -> None:
    """Let ``assignment`` and ``squared`` of the share's vectors know of ``seeds`` [m, D], which are numbered from ``first``."""
    search = Search(torch.from_numpy(seeds).to(origin.device), origin)
    for rows, block in blocks(vectors, share.rows, search.block_rows, origin.device):
        mine = share.local(rows)
        before = torch.from_numpy(squared[mine]).to(origin.device)
        near, seed = search.nearer(block, before)
        now = squared_distances(block[near], search.centroids[seed])
        better = now < before[near]
        places = mine.start + near[better].cpu().numpy()
        squared[places] = now[better].cpu().numpy()
        assignment[places] = first + seed[better].cpu().numpy()


def _draw(vectors: Vectors, squared: F32, n_draws: int, rng: np.random.Generator) -> I64:
    """Rows accepted of ``n_draws`` draws with probability proportional to ``squared`` [N]; none if all are 0."""
    mass = np.cumsum(squared, dtype=np.float64)
    if mass[-1] == 0:
        return np.empty(0, np.int64)
    rows = np.searchsorted(mass, rng.random(n_draws) * mass[-1], side="right")
    rows = np.minimum(rows, np.searchsorted(mass, mass[-1]))  # a product that was rounded up to the whole mass
    drawn = torch.from_numpy(np.asarray(vectors[rows], np.float32))
    between = torch.cdist(drawn, drawn, compute_mode="donot_use_mm_for_euclid_dist").square_().numpy()
    return rows[_accept(squared[rows], between, rng.random(n_draws))]


def _accept(
    then: npt.NDArray[np.floating], between: npt.NDArray[np.floating], uniform: npt.NDArray[np.floating]
) -> list[int]:
    """Of draws in order those that k-means++ accepts: D² ``then`` [m], squared distances ``between`` them [m, m]."""
    now = then.copy()
    accepted = []
    for i in range(len(then)):
        if uniform[i] * then[i] < now[i]:
            accepted.append(i)
            np.minimum(now, between[i], out=now)
    return accepted
