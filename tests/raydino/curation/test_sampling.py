"""Sampling of random hierarchies: the budget is exact, every level is balanced, weights follow the walk down."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from raydino.curation.hierarchy import Hierarchy, Level
from raydino.curation.sampling import balanced_weights, flat_sample, hierarchical_sample
from raydino.errors import UserError


def random_hierarchy(seed: int) -> Hierarchy:
    """One to four levels, sizes of a heavy tail, every cluster with a member."""
    rng = np.random.default_rng(seed)
    counts = sorted({int(n) for n in rng.integers(1, 400, rng.integers(2, 6))}, reverse=True) or [1]
    counts = counts if len(counts) > 1 else [counts[0] + 1, counts[0]]
    levels = []
    for below, count in pairwise(counts):
        tail = np.minimum((rng.pareto(1.0, below - count) * 2).astype(np.int64), count - 1)
        parents = rng.permutation(np.concatenate([np.arange(count), tail]))
        levels.append(Level(np.zeros((count, 2), np.float32), parents))
    return Hierarchy(tuple(levels), rng.random(counts[0]).astype(np.float32))


def nodes(hierarchy: Hierarchy) -> dict[tuple[int, ...], set[int]]:
    """Every node by its path from the top (the root is the empty path), with the vectors below it."""
    below: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for vector, path in enumerate(hierarchy.paths()[:, ::-1].tolist()):
        for depth in range(len(path) + 1):
            below[tuple(path[:depth])].add(vector)
    return below


def assert_balanced(sizes: list[int], taken: list[int]) -> None:
    """No child has two more than another that was not used up."""
    unfinished = [t for t, s in zip(taken, sizes, strict=True) if t < s]
    assert not unfinished or max(taken) - min(unfinished) <= 1


@pytest.mark.parametrize("seed", range(150))
def test_the_budget_is_exact_and_no_row_is_taken_twice(seed: int) -> None:
    hierarchy = random_hierarchy(seed)
    n_vectors = len(hierarchy.squared_distances)
    for budget in {1, n_vectors, *np.random.default_rng(seed).integers(1, n_vectors + 1, 4).tolist()}:
        for sample in (hierarchical_sample, flat_sample):
            for leaf in ("random", "closest", "furthest"):
                rows = sample(hierarchy, budget, seed=seed, leaf=leaf)
                assert len(rows) == budget
                assert (np.diff(rows) > 0).all()
                assert 0 <= rows[0] <= rows[-1] < n_vectors


@pytest.mark.parametrize("seed", range(25))
def test_children_of_every_cluster_get_alike_as_far_as_they_go(seed: int) -> None:
    hierarchy = random_hierarchy(seed)
    budget = len(hierarchy.squared_distances) // 3 + 1
    taken = set(hierarchical_sample(hierarchy, budget, seed=seed).tolist())
    below = nodes(hierarchy)
    for path in below:
        children = [vectors for other, vectors in below.items() if len(other) == len(path) + 1 and other[:-1] == path]
        if children:
            assert_balanced([len(c) for c in children], [len(c & taken) for c in children])


@pytest.mark.parametrize("seed", range(25))
def test_flat_sampling_is_balanced_over_the_leaves(seed: int) -> None:
    hierarchy = random_hierarchy(seed)
    leaves = hierarchy.levels[0].parents
    rows = flat_sample(hierarchy, len(leaves) // 2 + 1, seed=seed)
    taken = Counter(leaves[rows].tolist())
    sizes = Counter(leaves.tolist())
    assert_balanced(list(sizes.values()), [taken[leaf] for leaf in sizes])


@pytest.mark.parametrize(("leaf", "sign"), [("closest", 1), ("furthest", -1)])
def test_closest_and_furthest_members_of_a_cluster(leaf: str, sign: int) -> None:
    hierarchy = random_hierarchy(3)
    parents, distances = hierarchy.levels[0].parents, sign * hierarchy.squared_distances
    taken = np.zeros(len(parents), bool)
    taken[hierarchical_sample(hierarchy, len(parents) // 2, seed=0, leaf=leaf)] = True  # type: ignore[arg-type]
    split = [c for c in np.unique(parents) if 0 < taken[parents == c].sum() < (parents == c).sum()]
    assert split
    for cluster in split:
        inside = parents == cluster
        assert distances[inside & taken].max() <= distances[inside & ~taken].min()


def test_random_members_are_drawn_alike() -> None:
    hierarchy = Hierarchy((Level(np.zeros((1, 2), np.float32), np.zeros(20, np.int64)),), np.arange(20, dtype="f4"))
    drawn = np.zeros(20)
    for seed in range(2000):
        drawn[hierarchical_sample(hierarchy, 5, seed=seed)] += 1
    np.testing.assert_allclose(drawn / 2000, 0.25, atol=0.04)


def test_one_seed_gives_one_sample() -> None:
    hierarchy = random_hierarchy(5)
    budget = len(hierarchy.squared_distances) // 2
    first, again, other = (hierarchical_sample(hierarchy, budget, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("budget", [0, -1, 10**6])
def test_an_impossible_budget_is_one_clear_line(budget: int) -> None:
    with pytest.raises(UserError, match=f"cannot sample {budget:,} of"):
        hierarchical_sample(random_hierarchy(0), budget, seed=0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("balance", [0.0, 0.4, 1.0])
def test_weights_follow_the_walk_down_the_tree(seed: int, balance: float) -> None:
    hierarchy = random_hierarchy(seed)
    below = nodes(hierarchy)
    expected = np.zeros(len(hierarchy.squared_distances))

    def walk(path: tuple[int, ...], probability: float) -> None:
        children = [other for other in below if len(other) == len(path) + 1 and other[:-1] == path]
        pulls = [len(below[child]) ** (1 - balance) for child in children]
        for child, pull in zip(children, pulls, strict=True):
            walk(child, probability * pull / sum(pulls))
        if not children:
            for vector in below[path]:
                expected[vector] = probability / len(below[path])

    walk((), 1.0)
    weights = balanced_weights(hierarchy, balance)
    np.testing.assert_allclose(weights, expected, rtol=1e-9)
    assert weights.sum() == pytest.approx(1.0)


def test_weights_without_balance_are_those_of_the_pool() -> None:
    weights = balanced_weights(random_hierarchy(2), 0.0)
    np.testing.assert_allclose(weights, 1 / len(weights))


@pytest.mark.parametrize("balance", [-0.1, 1.1, float("nan")])
def test_a_balance_beyond_its_range_is_refused(balance: float) -> None:
    with pytest.raises(UserError, match="a balance of"):
        balanced_weights(random_hierarchy(0), balance)
