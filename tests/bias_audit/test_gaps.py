"""The gap's p-value against exact tests, its interval against Newcombe's published example."""

import numpy as np
import pytest
from scipy import stats

from bias_audit.estimates import Side
from bias_audit.gaps import correlation, gap_p_value, mean_p_value, null_error, square_and_add
from bias_audit.intervals import wilson_interval


def shares(hits: int, films: int, hits_rest: int, films_rest: int) -> float:
    pooled = (hits + hits_rest) / (films + films_rest)
    error = np.sqrt(pooled * (1 - pooled) * (1 / films + 1 / films_rest))
    share, rest, spread, n, n_rest = (
        np.array([float(v)]) for v in (hits / films, hits_rest / films_rest, error, films, films_rest)
    )
    return float(gap_p_value(share, rest, pooled, spread, n, n_rest, step=1.0)[0])


@pytest.mark.parametrize(
    "table",
    [(4, 10, 170, 200), (1, 10, 150, 200), (9, 20, 176, 200), (20, 20, 160, 200), (3, 6, 95, 100), (9, 12, 2, 150)],
)
def test_p_value_is_never_far_below_fishers_exact_test(table: tuple[int, int, int, int]) -> None:
    hits, films, hits_rest, films_rest = table
    exact = stats.fisher_exact([[hits, films - hits], [hits_rest, films_rest - hits_rest]]).pvalue
    assert shares(*table) > exact / 3
    if exact < 0.01:
        assert shares(*table) < 0.05  # and keeps its power


def test_large_samples_agree_with_the_normal_test_and_are_no_less_careful() -> None:
    z = (0.80 - 0.84) / np.sqrt(0.82 * 0.18 * 2 / 2000)
    normal = 2 * stats.norm.sf(abs(z))
    assert normal <= shares(1600, 2000, 1680, 2000) < 2.5 * normal


def test_either_side_gives_the_same_p_value() -> None:
    assert shares(4, 10, 170, 200) == pytest.approx(shares(170, 200, 4, 10))


def test_no_gap_no_evidence() -> None:
    zero = np.zeros(1)
    films = np.full(1, 10.0)
    assert gap_p_value(np.ones(1), np.ones(1), 1.0, zero, films, films, 1.0)[0] == 1.0
    assert shares(8, 10, 80, 100) == 1.0


def sides(variance: float, correlation: float, inside: np.ndarray, rest: np.ndarray) -> tuple[Side, Side]:
    """Films of each patient on either side, [patients], as one stratum."""
    own, together = np.array([variance * (1 - correlation)]), np.array([[variance * correlation]])

    def side(films: np.ndarray) -> Side:
        squares = np.full((1, 1, 1), (films**2).sum())
        return Side(own, together, np.full((1, 1), films.sum()), squares, np.full((1, 1, 1), (films * inside).sum()))

    return side(inside), side(rest)


TEN_OF_THIRTY = np.array([1.0] * 10 + [0.0] * 20)


def test_null_error_of_independent_films_is_the_pooled_formula() -> None:
    error = null_error(*sides(0.25, 0.0, TEN_OF_THIRTY, 1 - TEN_OF_THIRTY))
    assert error[0] == pytest.approx(np.sqrt(0.25 * (1 / 10 + 1 / 20)))
    assert np.isnan(null_error(*sides(0.25, 0.0, np.ones(30), np.zeros(30)))).all()  # everyone has no rest


def test_null_error_knows_that_copies_add_nothing() -> None:
    single = null_error(*sides(0.25, 0.0, TEN_OF_THIRTY, 1 - TEN_OF_THIRTY))
    double = null_error(*sides(0.25, 1.0, 2 * TEN_OF_THIRTY, 2 - 2 * TEN_OF_THIRTY))
    assert double == pytest.approx(single)


def test_a_stratum_within_patients_is_compared_within_them() -> None:
    # each patient has one film inside and one in the rest: what is alike cancels
    assert null_error(*sides(0.25, 1.0, np.ones(20), np.ones(20))) == pytest.approx(0.0, abs=1e-9)


def test_an_unbounded_mean_is_tested_by_student() -> None:
    p_value = mean_p_value(np.array([1.5]), np.array([0.7]), np.array([12.0]), np.array([90.0]))
    assert p_value[0] == pytest.approx(2 * stats.t.sf(1.5 / 0.7, 11))


def test_square_and_add_equals_newcombe_1998() -> None:
    # Newcombe, Stat Med 1998;17:873, table II, example (a): 56/70 against 48/80, method 10
    inside = wilson_interval(np.array([56 / 70]), np.array([70.0]), 0.95)
    rest = wilson_interval(np.array([48 / 80]), np.array([80.0]), 0.95)
    low, high = square_and_add(np.array([0.8]), inside, np.array([0.6]), rest, np.zeros(1))
    assert (low[0], high[0]) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_what_both_sides_share_narrows_the_interval() -> None:
    inside, rest = (wilson_interval(np.array([share]), np.array([100.0]), 0.95) for share in (0.5, 0.5))
    alone = square_and_add(np.array([0.5]), inside, np.array([0.5]), rest, np.zeros(1))
    shared = square_and_add(np.array([0.5]), inside, np.array([0.5]), rest, np.full(1, 0.75))
    assert shared[1][0] == pytest.approx(alone[1][0] / 2)
    assert correlation(*sides(0.25, 1.0, np.ones(20), np.ones(20))) == pytest.approx(1.0)
    assert correlation(*sides(0.25, 1.0, TEN_OF_THIRTY, 1 - TEN_OF_THIRTY)) == pytest.approx(0.0)
