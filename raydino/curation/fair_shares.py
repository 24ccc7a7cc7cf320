"""Fair shares of a budget: the one rule by which a hierarchy hands a budget down, and a split its clusters."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from raydino.curation.kmeans import F32, I64

Pick = Literal["random", "closest", "furthest"]  # which members of a cluster are taken first


def fair_shares(sizes: I64, budgets: I64, parents: I64, rng: np.random.Generator) -> I64:
    """Divide each parent's budget [G] among its children of ``sizes`` [K]; ``parents`` [K] says whose child each is.

    A child gets min(cap, its size), with the largest integer cap that the parent's budget allows; what is left
    goes, one apiece, to children drawn at random from those that have more. So the children's shares sum to the
    budget exactly, or to all that the parent has where the budget is larger.
    """
    order = np.lexsort((sizes, parents))
    size, parent = sizes[order], parents[order]
    n_children = np.bincount(parent, minlength=len(budgets))
    rank = np.arange(len(size)) - (np.cumsum(n_children) - n_children)[parent]
    before = np.cumsum(size) - size
    before -= before[np.arange(len(size)) - rank]
    # What the parent would give with the cap at this child's size: it rises along the children.
    is_whole = before + size * (n_children[parent] - rank) <= budgets[parent]
    left = budgets - _sum_of_each(parent, size * is_whole, len(budgets))
    n_capped = n_children - np.bincount(parent[is_whole], minlength=len(budgets))
    cap, left = np.divmod(left, np.maximum(n_capped, 1))
    shares = np.empty_like(sizes)
    shares[order] = np.where(is_whole, size, cap[parent])
    capped = order[~is_whole]
    lucky = capped[first_of_each(parents[capped], left, rng.random(len(capped)))]
    shares[lucky] += 1
    return shares


def first_of_each(groups: I64, counts: I64, key: npt.NDArray[np.floating]) -> I64:
    """The rows, sorted, of the ``counts`` [G] members of each group [N] with the lowest ``key`` [N] (on ties: row)."""
    order = np.lexsort((key, groups))
    group = groups[order]
    sizes = np.bincount(group, minlength=len(counts))
    rank = np.arange(len(group)) - (np.cumsum(sizes) - sizes)[group]
    return np.sort(order[rank < counts[group]])


def order_key(pick: Pick, squared_distances: F32, rng: np.random.Generator) -> npt.NDArray[np.floating]:
    """A ``key`` for ``first_of_each``, from the distances [N] of members to their centroids."""
    if pick == "random":
        return rng.random(len(squared_distances))
    return squared_distances if pick == "closest" else -squared_distances


def _sum_of_each(groups: I64, values: I64, n_groups: int) -> I64:
    sums = np.zeros(n_groups, np.int64)
    np.add.at(sums, groups, values)
    return sums
