"""A balanced subset of a hierarchy's vectors, or balanced weights to draw batches with (Vo et al. 2405.15613, §3).

The budget comes down from the top, at each cluster in fair shares to its children (fair_shares.py), so that a kind of
film counts by its place among the clusters and not by how often it was taken. A hard subset throws films away, which
can cost more than balance gains (Chen et al. 2503.18709, in pathology); weights keep them all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from raydino.curation.fair_shares import Pick, fair_shares, first_of_each, order_key
from raydino.curation.hierarchy import Hierarchy
from raydino.curation.kmeans import I64
from raydino.errors import UserError


def hierarchical_sample(hierarchy: Hierarchy, budget: int, *, seed: int, leaf: Pick = "random") -> I64:
    """``budget`` rows, sorted, balanced over the clusters of every level.

    ``leaf`` says which members of a cluster of level 1 are taken: at random, or those closest to its centroid or
    furthest from it. Raises UserError where ``budget`` is not within 1 and the number of vectors.
    """
    n_vectors = len(hierarchy.squared_distances)
    if not 1 <= budget <= n_vectors:
        raise UserError(f"cannot sample {budget:,} of {n_vectors:,} vectors", remedy=f"a budget of 1 to {n_vectors:,}")
    rng = np.random.default_rng(seed)
    budgets = np.array([budget])
    *clusters, (parents, _) = _from_the_top(hierarchy)
    for cluster_parents, sizes in clusters:
        budgets = fair_shares(sizes, budgets, cluster_parents, rng)
    return first_of_each(parents, budgets, order_key(leaf, hierarchy.squared_distances, rng))


def flat_sample(hierarchy: Hierarchy, budget: int, *, seed: int, leaf: Pick = "random") -> I64:
    """As ``hierarchical_sample``, balanced over the clusters of level 1 alone."""
    finest = Hierarchy(hierarchy.levels[:1], hierarchy.squared_distances)
    return hierarchical_sample(finest, budget, seed=seed, leaf=leaf)


def balanced_weights(hierarchy: Hierarchy, balance: float = 1.0) -> npt.NDArray[np.float64]:
    """The probability [N], sum 1, with which each vector is drawn.

    A draw walks down the tree, to a child with probability ∝ size^(1 - balance): at ``balance`` 1 all children of a
    cluster are alike (and the clusters at the top), at 0 so are all vectors. Members of one cluster of level 1 are
    always alike. Raises UserError where ``balance`` is not within 0 and 1.
    """
    if not 0 <= balance <= 1:
        raise UserError(f"a balance of {balance}", remedy="a number from 0 (as the vectors are) to 1 (uniform)")
    probabilities = np.ones(1)
    for parents, sizes in _from_the_top(hierarchy):
        pull = sizes ** (1.0 - balance)
        totals = np.bincount(parents, pull, minlength=len(probabilities))
        probabilities = probabilities[parents] * pull / totals[parents]
    return probabilities / probabilities.sum()


def _from_the_top(hierarchy: Hierarchy) -> Iterator[tuple[I64, I64]]:
    """(parents, vectors inside) of the clusters of each level from the coarsest on, last of the vectors themselves."""
    inside = [np.ones(len(hierarchy.squared_distances), np.int64)]
    for level in hierarchy.levels:
        inside.append(np.bincount(level.parents, inside[-1], minlength=len(level.centroids)).astype(np.int64))
    roots = np.zeros(len(inside[-1]), np.int64)
    yield from zip([roots, *(level.parents for level in reversed(hierarchy.levels))], reversed(inside), strict=True)
