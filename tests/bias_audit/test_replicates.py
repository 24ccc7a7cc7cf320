"""Bootstrap replicates equal the metric on rows repeated as often as their patient was drawn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from bias_audit.intervals import patient_multiplicities
from bias_audit.metrics import Metric, metric_named
from bias_audit.replicates import replicate_all
from bias_audit.rows import LabelRows, Rows

EXACT = [
    *("auroc", "auprc", "sensitivity", "specificity", "fnr", "fpr", "ppv", "npv", "selection_rate", "net_benefit"),
    *("prevalence", "brier", "ece", "hd95_mm"),
]
ONE_STEP = ["calibration_slope", "calibration_intercept"]
METRICS = [metric_named(name) for name in (*EXACT, *ONE_STEP)]


def label_rows(levels: int, seed: int = 2, n: int = 240) -> LabelRows:
    rng = np.random.default_rng(seed)
    score = np.sort(rng.integers(1, levels, n) / levels)
    target = (rng.random(n) < 0.15 + 0.5 * score).astype(float)
    patient = rng.integers(0, 90, n)
    sex, site = rng.integers(0, 2, n), rng.integers(0, 3, n)  # a patient may lie in several strata
    member = np.stack([np.zeros(n, int), 1 + sex, 3 + site, 6 + 3 * sex + site], axis=1)
    measured = {"hd95_mm": np.where(rng.random(n) < 0.3, np.nan, rng.random(n))}
    return LabelRows(Rows(target, score, np.full(n, 0.4), measured), patient, member, 12)


@pytest.fixture(scope="module", params=[15, 10_000], ids=["ties", "few ties"])
def data(request: pytest.FixtureRequest) -> LabelRows:
    return label_rows(request.param)


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return patient_multiplicities(90, 12, np.random.default_rng(4))


def reference(metric: Metric, rows: Rows, keep: np.ndarray, weight: np.ndarray) -> float:
    """The metric over rows repeated ``weight`` times, by another way."""
    again = rows.take(np.repeat(np.flatnonzero(keep), weight[keep]))
    if metric.name == "auroc":
        return roc_auc_score(again.target, again.score)
    if metric.name == "auprc":
        return average_precision_score(again.target, again.score)
    return metric(again)


@pytest.mark.parametrize("name", EXACT)
def test_replicates_equal_repeated_rows_inside_and_in_the_rest(name: str, data: LabelRows, weights: np.ndarray) -> None:
    metric = metric_named(name)
    result = replicate_all(data, METRICS, weights, np.ones(12, bool), block=5)[name]
    for stratum in range(12):
        inside = data.inside(stratum)
        for column in range(weights.shape[1]):
            weight = weights[data.patient, column]
            expected = reference(metric, data.rows, inside, weight)
            assert result.inside[stratum, column] == pytest.approx(expected, abs=1e-9)
            if metric.tested and stratum:
                others = reference(metric, data.rows, ~inside, weight)
                assert result.rest[stratum, column] == pytest.approx(others, abs=1e-9)
    assert np.isnan(result.rest if not metric.tested else result.rest[0]).all()


@pytest.mark.parametrize("name", ONE_STEP)
def test_one_newton_step_is_close_to_a_new_fit(name: str) -> None:
    data, metric = label_rows(500, seed=3, n=2000), metric_named(name)
    weights = patient_multiplicities(90, 30, np.random.default_rng(5))
    found = replicate_all(data, [metric], weights, np.ones(12, bool), block=8)[name].inside
    assert found[:, 0] == pytest.approx([metric(data.rows.take(data.inside(k))) for k in range(12)], abs=1e-6)
    refit = [metric(data.rows.take(np.repeat(np.arange(2000), weights[data.patient, c]))) for c in range(31)]
    spread = np.std(refit)
    assert np.abs(found[0] - refit).max() < 0.15 * spread


def test_a_stratum_of_one_class_has_no_auroc_and_leaves_the_others_alone(weights: np.ndarray) -> None:
    data = label_rows(15)
    data.rows.target[data.inside(3)] = 1.0
    result = replicate_all(data, METRICS, weights, np.ones(12, bool), block=64)
    for name in ("auroc", "auprc", "specificity", "calibration_slope"):
        assert np.isnan(result[name].inside[3]).all()
        assert np.isfinite(result[name].inside[4]).all()


def test_column_zero_is_the_sample_itself(data: LabelRows, weights: np.ndarray) -> None:
    result = replicate_all(data, METRICS, weights, np.ones(12, bool), block=64)
    for metric in METRICS:
        assert result[metric.name].inside[0, 0] == pytest.approx(metric(data.rows), abs=1e-7)


def test_the_block_size_changes_nothing(data: LabelRows, weights: np.ndarray) -> None:
    small, large = (replicate_all(data, METRICS, weights, np.ones(12, bool), block=b) for b in (1, 100))
    for metric in METRICS:
        np.testing.assert_allclose(small[metric.name].rest, large[metric.name].rest, rtol=1e-9)


def test_shuffled_patients_change_nothing(data: LabelRows, weights: np.ndarray) -> None:
    other = np.random.default_rng(0).permutation(90)
    renamed = LabelRows(data.rows, other[data.patient], data.member, data.strata)
    moved = np.empty_like(weights)
    moved[other] = weights
    for name in ("auroc", "auprc", "brier"):
        first = replicate_all(data, [metric_named(name)], weights, np.ones(12, bool), 64)[name]
        again = replicate_all(renamed, [metric_named(name)], moved, np.ones(12, bool), 64)[name]
        np.testing.assert_allclose(first.inside, again.inside, rtol=1e-12)


def test_without_a_stratum_its_films_are_gone(data: LabelRows) -> None:
    left = data.without(4)
    assert len(left.patient) == int((~data.inside(4)).sum())
    assert not left.inside(4).any()
