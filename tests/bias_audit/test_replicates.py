"""Bootstrap replicates equal scikit-learn on rows repeated as often as their patient was drawn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bias_audit.intervals import patient_multiplicities
from bias_audit.metrics import AUROC, BRIER, SENSITIVITY, SPECIFICITY, Rows
from bias_audit.replicates import LabelRows, replicate_all

METRICS = (AUROC, SENSITIVITY, SPECIFICITY, BRIER)


@pytest.fixture(scope="module")
def data() -> LabelRows:
    rng = np.random.default_rng(2)
    n = 240
    score = np.sort(rng.integers(0, 15, n) / 15)
    target = (rng.random(n) < 0.15 + 0.5 * score).astype(float)
    patient = rng.integers(0, 90, n)
    sex, site = rng.integers(0, 2, n), rng.integers(0, 3, n)  # a patient may lie in several strata
    member = np.stack([np.zeros(n, int), 1 + sex, 3 + site], axis=1)
    return LabelRows(Rows(target, score, score >= 0.4, np.full(n, np.nan)), patient, member, 6)


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return patient_multiplicities(90, 12, np.random.default_rng(4))


def reference(metric, rows: Rows, keep: np.ndarray, weight: np.ndarray) -> float:
    """The metric over rows repeated ``weight`` times, by another way."""
    index = np.repeat(np.flatnonzero(keep), weight[keep])
    if metric is AUROC:
        return roc_auc_score(rows.target[index], rows.score[index])
    return metric(rows.take(index))


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_replicates_equal_repeated_rows_inside_and_in_the_rest(metric, data: LabelRows, weights: np.ndarray) -> None:
    result = replicate_all(data, METRICS, weights, np.ones(6, bool), block=5)[metric.name]
    for stratum in range(1, 6):
        inside = data.inside(stratum)
        for column in range(weights.shape[1]):
            weight = weights[data.patient, column]
            expected = reference(metric, data.rows, inside, weight)
            others = reference(metric, data.rows, ~inside, weight)
            assert result.inside[stratum, column] == pytest.approx(expected, abs=1e-6)
            assert result.rest[stratum, column] == pytest.approx(others, abs=1e-6)
    assert np.isnan(result.rest[0]).all()  # everyone has no rest


def test_column_zero_is_the_sample_itself(data: LabelRows, weights: np.ndarray) -> None:
    result = replicate_all(data, METRICS, weights, np.ones(6, bool), block=64)
    for metric in METRICS:
        assert result[metric.name].inside[0, 0] == pytest.approx(metric(data.rows), abs=1e-6)


def test_the_block_size_changes_nothing(data: LabelRows, weights: np.ndarray) -> None:
    small, large = (replicate_all(data, METRICS, weights, np.ones(6, bool), block=b) for b in (1, 100))
    for metric in METRICS:
        np.testing.assert_allclose(small[metric.name].rest, large[metric.name].rest, rtol=1e-6)


def test_without_a_stratum_its_films_are_gone(data: LabelRows) -> None:
    left = data.without(4)
    assert len(left.patient) == int((~data.inside(4)).sum())
    assert not left.inside(4).any()
