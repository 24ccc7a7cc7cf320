"""Verdicts by hand, and the smallest gap against the power of the normal test."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bias_audit.verdicts import level_after_adjustment, smallest_gap, verdicts


def test_verdicts_by_hand() -> None:
    gaps = pd.DataFrame(
        [
            (-0.10, -0.16, -0.04, 0.001),  # sure and large
            (-0.04, -0.045, -0.035, 0.001),  # sure, and smaller than matters
            (-0.04, -0.060, -0.020, 0.001),  # sure, and may matter
            (0.00, -0.049, 0.049, 0.9),  # within the margin
            (0.00, -0.051, 0.049, 0.9),  # may be beyond it
            (-0.10, -0.16, -0.04, 0.2),  # large, and may be chance
            (np.nan, np.nan, np.nan, np.nan),
        ],
        columns=["gap", "ci_low", "ci_high", "p_adjusted"],
    )
    expected = ["different", "equivalent", "undecided", "equivalent", "undecided", "undecided", None]
    assert verdicts(gaps, np.full(7, 0.05), 0.05) == expected


def test_the_smallest_gap_is_found_with_the_wanted_power() -> None:
    gap = smallest_gap(np.array([0.03]), level=0.001, power=0.8)[0]
    assert np.isnan(smallest_gap(np.zeros(1), 0.001, 0.8)[0])  # all right everywhere: nothing to go by
    critical = stats.norm.isf(0.0005) * 0.03
    assert stats.norm.sf(critical, gap, 0.03) == pytest.approx(0.8, abs=1e-6)


def test_level_is_that_of_benjamini_and_hochberg() -> None:
    p_value = pd.Series([0.001, 0.001, 0.01, 0.2, 0.9, np.nan])
    question = pd.Series([1, 1, 2, 3, 4, 5])  # the first two are one test
    adjusted = pd.Series([0.004, 0.004, 0.02, 0.27, 0.9, np.nan])
    assert level_after_adjustment(p_value, adjusted, question, 0.05) == pytest.approx(0.05 * 2 / 4)
    assert level_after_adjustment(p_value, adjusted + 1, question, 0.05) == pytest.approx(0.05 / 4)  # none is sure
    assert level_after_adjustment(p_value * np.nan, adjusted, question, 0.05) == 0.05
