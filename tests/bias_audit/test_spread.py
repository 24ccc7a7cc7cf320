"""The largest difference: what it is, that chance explains small ones, and how often its interval covers the truth."""

import numpy as np
import pytest

from bias_audit.spread import largest_difference, smallest_ratio


def figures(rng: np.random.Generator, truth: np.ndarray, bootstraps: int = 300) -> np.ndarray:
    """[strata, 1 + B] estimates with a standard error of 1, and replicates about them."""
    estimate = truth + rng.normal(size=len(truth))
    return np.concatenate([estimate[:, None], estimate[:, None] + rng.normal(size=(len(truth), bootstraps))], axis=1)


def test_value_p_value_and_ends_agree() -> None:
    rng = np.random.default_rng(0)
    for gap in (0.0, 1.0, 6.0):
        values = figures(rng, np.array([0.0, 0.0, gap]))
        found = largest_difference([values], 0.95)
        assert found.value == pytest.approx(np.ptp(values[:, 0]))
        assert (found.low > 0) == (found.value > found.by_chance)
        assert (found.p_value < 0.05) == (found.value > found.by_chance)
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize("truth", [[0, 0, 0], [2, 0, 0, 0], [0, 2, 4], [6, 0, 0, 0, 0, 0]])
def test_coverage_where_a_percentile_interval_fails(truth: list[float]) -> None:
    rng = np.random.default_rng(1)
    wanted = float(np.ptp(truth))
    covered = percentile = 0
    for _ in range(600):
        values = figures(rng, np.array(truth, float), 200)
        found = largest_difference([values], 0.95)
        covered += found.low <= wanted <= found.high
        low, high = np.quantile(np.ptp(values[:, 1:], axis=0), [0.025, 0.975])
        percentile += low <= wanted <= high
    assert 0.92 < covered / 600 < 0.985
    if not any(truth):
        assert percentile < 6


def test_equalized_odds_is_the_larger_of_two() -> None:
    rng = np.random.default_rng(2)
    small, large = figures(rng, np.array([0.0, 1.0])), figures(rng, np.array([0.0, 9.0]))
    both = largest_difference([small, large], 0.95)
    assert both.value == np.ptp(large[:, 0])
    assert both.by_chance >= largest_difference([large], 0.95).by_chance


def test_replicates_without_a_figure_are_left_out() -> None:
    values = figures(np.random.default_rng(3), np.array([0.0, 8.0]))
    values[0, 5:40] = np.nan
    assert np.isfinite(largest_difference([values], 0.95).high)


def test_ratio_is_the_smallest_over_the_largest() -> None:
    rng = np.random.default_rng(4)
    values = 0.5 + 0.01 * figures(rng, np.array([0.0, 20.0]))
    ratio, low, high = smallest_ratio(values, 0.95)
    assert ratio == pytest.approx(values[:, 0].min() / values[:, 0].max())
    assert low < ratio < high <= 1
    assert np.isnan(smallest_ratio(values - 0.6, 0.95)).all()
