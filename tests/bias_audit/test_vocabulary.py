"""fairlearn's differences equal fairlearn called row by row; strata without a class are left out and named."""

import fairlearn.metrics as fl
import numpy as np
import pytest

from bias_audit.estimates import interval_of, makeup_of
from bias_audit.intervals import patient_multiplicities
from bias_audit.replicates import replicate_all
from bias_audit.rows import LabelRows, Rows
from bias_audit.spread import Figures, alike
from bias_audit.vocabulary import RATES, fairness_row


def test_equals_fairlearn_row_by_row() -> None:
    rng = np.random.default_rng(6)
    n = 300
    target = (rng.random(n) < 0.3).astype(float)
    score = np.clip(target * 0.2 + rng.random(n) * 0.8, 0, 1)
    group = rng.integers(0, 3, n)
    data = LabelRows(Rows(target, score, np.full(n, 0.5)), np.arange(n), np.stack([np.zeros(n, int), 1 + group], 1), 4)
    weights = patient_multiplicities(n, 200, np.random.default_rng(0))
    replicates = replicate_all(data, RATES, weights, np.ones(4, bool), 64)
    rates = {}
    for metric in RATES:
        values, makeup = replicates[metric.name].inside, makeup_of(data, metric)
        assert makeup is not None
        patients, everyone = np.bincount(data.member[:, 1], minlength=4), float(values[0, 0])
        low, high = interval_of(values, makeup.inside, patients, everyone, metric, 0.95)
        drawn = alike(values, makeup.inside, patients, everyone, metric, rng)
        rates[metric.name] = Figures(values[:, 0], low, high, drawn, everyone).of(np.array([1, 2, 3]))
    row = fairness_row(rates, 3, [], 0.95)
    y, called = target.astype(int), (score >= 0.5).astype(int)
    expected = {
        "demographic_parity_difference": fl.demographic_parity_difference(y, called, sensitive_features=group),
        "equalized_odds_difference": fl.equalized_odds_difference(y, called, sensitive_features=group),
        "true_positive_rate_difference": fl.MetricFrame(
            metrics=fl.true_positive_rate, y_true=y, y_pred=called, sensitive_features=group
        ).difference(),
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value)
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    assert row["n_strata"] == 3
    assert row["status"] == "ok"


def test_one_stratum_has_nothing_to_differ_from() -> None:
    row = fairness_row({}, 1, ["M", "O"], 0.95)
    assert row["left_out"] == "M, O"
    assert row["status"] == "too_few"
    assert np.isnan(row["equalized_odds_difference"])
