"""Reliability curves against scikit-learn's, and what they refuse to draw."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from bias_audit.reliability import LEAST, reliability_curve


def test_without_ties_it_is_scikit_learns_curve_of_quantiles() -> None:
    rng = np.random.default_rng(0)
    score = np.sort(rng.random(500))
    target = (rng.random(500) < score**2).astype(float)
    x, y = reliability_curve(target, score)
    share, mean = calibration_curve(target, score, n_bins=10, strategy="quantile")
    assert x == pytest.approx(mean)
    assert y == pytest.approx(share)


def test_no_bin_is_small_and_films_of_one_score_stay_together() -> None:
    score = np.sort(np.repeat([0.1, 0.2, 0.9], [33, 5, 40]))
    target = (np.arange(78) % 3 == 0).astype(float)
    x, y = reliability_curve(target, score)
    assert len(x) == 2
    assert x == pytest.approx([0.1, (5 * 0.2 + 40 * 0.9) / 45])  # five films alone would be no bin
    assert y == pytest.approx([target[:33].mean(), target[33:].mean()])


@pytest.mark.parametrize("n", [0, 1, LEAST, 2 * LEAST - 1])
def test_too_few_films_make_no_curve(n: int) -> None:
    x, y = reliability_curve(np.zeros(n), np.linspace(0, 1, n))
    assert len(x) == len(y) == 0


def test_one_score_makes_no_curve() -> None:
    assert len(reliability_curve(np.ones(100), np.full(100, 0.4))[0]) == 0
