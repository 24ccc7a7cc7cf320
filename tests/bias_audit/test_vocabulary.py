"""The summary equals fairlearn called row by row; strata without a class are left out and named."""

import fairlearn.metrics as fl
import numpy as np
import pytest

from bias_audit.metrics import Rows
from bias_audit.vocabulary import fairness_row


def test_equals_fairlearn_row_by_row() -> None:
    rng = np.random.default_rng(6)
    n = 300
    target = (rng.random(n) < 0.3).astype(float)
    score = np.clip(target * 0.2 + rng.random(n) * 0.8, 0, 1)
    strata = rng.choice(["F", "M", "UNKNOWN"], n)
    rows = Rows(target, score, score >= 0.5, np.full(n, np.nan))
    row = fairness_row("Nodule", "sex", rows, strata, {"F", "M", "UNKNOWN"})
    y, called = target.astype(int), rows.called.astype(int)
    parity = fl.demographic_parity_difference(y, called, sensitive_features=strata)
    odds = fl.equalized_odds_difference(y, called, sensitive_features=strata)
    assert row["demographic_parity_difference"] == pytest.approx(parity)
    assert row["equalized_odds_difference"] == pytest.approx(odds)
    assert row["n_strata"] == 3
    assert row["status"] == "ok"


def test_strata_with_too_few_are_named_not_counted_as_zero() -> None:
    target = np.array([1.0, 0, 1, 0, 1, 1])
    called = np.array([True, False, True, True, False, True])
    rows = Rows(target, np.zeros(6), called, np.full(6, np.nan))
    strata = np.array(["F", "F", "M", "M", "O", "O"])
    row = fairness_row("Nodule", "sex", rows, strata, {"F", "M"})
    assert row["left_out"] == "O"
    assert row["true_positive_rate_difference"] == 0.0  # O's 0.5 does not count
    alone = fairness_row("Nodule", "sex", rows, strata, {"F"})
    assert alone["status"] == "too_few"
    assert alone["equalized_odds_difference"] is None
