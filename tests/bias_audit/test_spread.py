"""The largest difference: what it is, that chance explains small ones, and how often its interval covers the truth."""

from functools import cache

import numpy as np
import pytest

from bias_audit.estimates import Side, interval_of
from bias_audit.intervals import patient_multiplicities
from bias_audit.rates import SENSITIVITY
from bias_audit.spread import Difference, Figures, alike, largest_difference, smallest_ratio

Z = 1.959964


def figures(rng: np.random.Generator, truth: np.ndarray, bootstraps: int = 300) -> Figures:
    """Estimates with a standard error of 1, their intervals, and what is seen where all strata are alike."""
    estimate = truth + rng.normal(size=len(truth))
    return Figures(estimate, estimate - Z, estimate + Z, 2 + rng.normal(size=(len(truth), bootstraps)), 2.0)


def test_value_p_value_and_ends_agree() -> None:
    rng = np.random.default_rng(0)
    for gap in (0.0, 1.0, 6.0):
        values = figures(rng, np.array([0.0, 0.0, gap]))
        found = largest_difference([values], 0.95)
        assert found.value == pytest.approx(np.ptp(values.estimate))
        assert (found.low > 0) == (found.value > found.by_chance)
        assert (found.p_value < 0.05) == (found.value > found.by_chance)
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize("truth", [[0, 0, 0], [2, 0, 0, 0], [0, 2, 4], [6, 0, 0, 0, 0, 0]])
def test_coverage_where_a_percentile_interval_fails(truth: list[float]) -> None:
    rng = np.random.default_rng(1)
    wanted = float(np.ptp(truth))
    covered = percentile = 0
    for _ in range(400):
        values = figures(rng, np.array(truth, float), 200)
        found = largest_difference([values], 0.95)
        covered += found.low <= wanted <= found.high
        again = np.ptp(values.estimate[:, None] + values.alike - 2, axis=0)
        low, high = np.quantile(again, [0.025, 0.975])
        percentile += low <= wanted <= high
    assert 0.94 < covered / 400 < 0.995
    if not any(truth):
        assert percentile < 5


@cache
def _weights(patients: int) -> np.ndarray:
    return patient_multiplicities(patients, 200, np.random.default_rng(0)).astype(np.float64)


def shares(rng: np.random.Generator, patients: np.ndarray, truth: np.ndarray) -> Difference:
    """One simulated axis of yes-or-no films, one a patient; what the audit makes of its sensitivities."""
    stratum = np.repeat(np.arange(len(patients)), patients)
    right = (rng.random(len(stratum)) < truth[stratum]).astype(float)
    inside = np.vstack([np.ones(len(stratum)), stratum == np.arange(len(patients))[:, None]])
    weights = _weights(len(stratum))
    values = ((inside * right) @ weights) / np.maximum(inside @ weights, 1)
    films = inside.sum(axis=1)
    side = Side(right.var(keepdims=True), np.zeros((1, 1)), films[None], films[None, None], films[None, None])
    everyone, count = float(values[0, 0]), films.astype(np.int64)
    low, high = interval_of(values, side, count, everyone, SENSITIVITY, 0.95)
    drawn = alike(values, side, count, everyone, SENSITIVITY, rng)
    return largest_difference([Figures(values[:, 0], low, high, drawn, everyone).of(np.arange(1, len(films)))], 0.95)


@pytest.mark.parametrize("share", [0.6, 0.85, 0.95])
def test_small_strata_differ_by_chance_once_in_twenty(share: float) -> None:
    """A stratum of 8 is often all right, and its bootstrap then shows no spread."""
    rng = np.random.default_rng(5)
    patients = np.array([200, 180, 24, 8])
    found = [shares(rng, patients, np.full(4, share)) for _ in range(300)]
    beyond = np.mean([one.value > one.by_chance for one in found])
    assert beyond < 0.075
    assert np.mean([one.low > 0 for one in found]) <= beyond
    assert beyond > 0.005 or share == 0.95


def test_intervals_cover_where_a_small_stratum_is_all_right() -> None:
    rng = np.random.default_rng(6)
    for small in (0.97, 0.7):
        truth = np.array([0.85, 0.80, small])
        found = [shares(rng, np.array([200, 180, 24]), truth) for _ in range(200)]
        assert np.mean([one.low <= np.ptp(truth) <= one.high for one in found]) > 0.94
    all_right = shares(rng, np.array([200, 180, 24]), np.array([0.83, 0.83, 1.0]))
    assert all_right.by_chance > 0.12
    assert all_right.high - all_right.low > 0.12


def test_strata_with_common_patients_move_together() -> None:
    rng = np.random.default_rng(7)
    moved = rng.normal(0, 0.03, 300)
    values = 0.8 + np.stack([np.append(0, moved), np.append(0, moved)])
    side = Side(np.full(1, 0.16), np.zeros((1, 1)), np.full((1, 2), 200.0), *(np.full((1, 1, 2), 200.0),) * 2)
    drawn = alike(values, side, np.full(2, 200), 0.8, SENSITIVITY, rng)
    assert np.corrcoef(drawn)[0, 1] > 0.99
    assert drawn.std(axis=1) == pytest.approx(np.sqrt(0.16 / 200), rel=0.03)
    still = alike(np.full((2, 301), 0.8), side, np.full(2, 200), 0.8, SENSITIVITY, rng)
    assert abs(np.corrcoef(still)[0, 1]) < 0.2
    assert still.std(axis=1) == pytest.approx(np.sqrt(0.16 / 200), rel=0.03)


def test_equalized_odds_is_the_larger_of_two() -> None:
    rng = np.random.default_rng(2)
    small, large = figures(rng, np.array([0.0, 1.0])), figures(rng, np.array([0.0, 9.0]))
    both = largest_difference([small, large], 0.95)
    assert both.value == np.ptp(large.estimate)
    assert both.by_chance >= largest_difference([large], 0.95).by_chance


def test_draws_without_a_figure_are_left_out() -> None:
    values = figures(np.random.default_rng(3), np.array([0.0, 8.0]))
    values.alike[0, 5:40] = np.nan
    assert np.isfinite(largest_difference([values], 0.95).high)
    values.alike[0] = np.nan
    assert np.isnan(largest_difference([values], 0.95).high)


def test_ratio_is_the_smallest_over_the_largest() -> None:
    estimate = np.array([0.5, 0.7])
    drawn = 0.6 + np.random.default_rng(4).normal(0, 0.01, (2, 300))
    values = Figures(estimate, estimate - 0.02, estimate + 0.02, drawn, 0.6)
    ratio, low, high = smallest_ratio(values, 0.95)
    assert ratio == pytest.approx(0.5 / 0.7)
    assert low < ratio < high <= 1
    none = Figures(estimate - 0.6, estimate, estimate, drawn, 0.6)
    assert np.isnan(smallest_ratio(none, 0.95)).all()
