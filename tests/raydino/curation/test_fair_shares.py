"""Fair shares and the first of each group, against loops that follow the definition."""

from __future__ import annotations

import numpy as np
import pytest

from raydino.curation.fair_shares import fair_shares, first_of_each, order_key


def largest_cap(sizes: list[int], budget: int) -> int:
    """By trying: the largest cap whose shares the budget allows."""
    cap = 0
    while cap < max(sizes) and sum(min(cap + 1, size) for size in sizes) <= budget:
        cap += 1
    return cap


@pytest.mark.parametrize("seed", range(60))
def test_shares_are_the_largest_cap_and_one_more_for_some(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_parents = int(rng.integers(1, 8))
    parents = rng.permutation(np.concatenate([np.arange(n_parents), rng.integers(0, n_parents, rng.integers(0, 40))]))
    sizes = rng.integers(1, rng.choice([3, 20, 500]), len(parents)).astype(np.int64)
    totals = np.bincount(parents, sizes, minlength=n_parents).astype(np.int64)
    budgets = rng.integers(0, totals + 1)

    shares = fair_shares(sizes, budgets, parents, rng)

    assert (np.bincount(parents, shares, minlength=n_parents) == budgets).all()
    for parent in range(n_parents):
        own = sizes[parents == parent].tolist()
        cap = largest_cap(own, int(budgets[parent]))
        more = shares[parents == parent] - np.minimum(own, cap)
        assert set(more.tolist()) <= {0, 1}
        assert all(size > cap for size, extra in zip(own, more, strict=True) if extra)


def test_what_is_left_over_goes_to_each_child_alike() -> None:
    sizes, zeros = np.full(10, 5), np.zeros(10, np.int64)
    got = sum(fair_shares(sizes, np.array([13]), zeros, np.random.default_rng(seed)) for seed in range(2000))
    np.testing.assert_allclose(got / 2000, 1.3, atol=0.05)


def test_a_parent_with_more_budget_than_children_gives_all() -> None:
    shares = fair_shares(np.array([2, 3, 4]), np.array([99, 1]), np.array([0, 0, 1]), np.random.default_rng(0))
    assert shares.tolist() == [2, 3, 1]


def test_first_of_each_takes_the_lowest_keys_and_on_ties_the_first_row() -> None:
    groups = np.array([1, 0, 1, 1, 0, 2])
    key = np.array([3.0, 1.0, 2.0, 2.0, 0.5, 9.0])
    assert first_of_each(groups, np.array([1, 1, 0]), key).tolist() == [2, 4]
    assert first_of_each(groups, np.array([0, 2, 5]), key).tolist() == [2, 3, 5]


def test_the_keys_of_the_closest_and_the_furthest_are_opposite() -> None:
    distances = np.array([0.5, 2.0, 1.0], np.float32)
    rng = np.random.default_rng(0)
    assert np.argsort(order_key("closest", distances, rng)).tolist() == [0, 2, 1]
    assert np.argsort(order_key("furthest", distances, rng)).tolist() == [1, 2, 0]
    assert len(set(order_key("random", distances, rng).tolist())) == 3
