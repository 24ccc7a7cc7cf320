"""Each metric against scikit-learn, fairlearn or scipy, on random and degenerate rows, with ties."""

import fairlearn.metrics as fl
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, precision_score, roc_auc_score

from bias_audit.metrics import METRICS, metric_named, metrics_for, same_label
from bias_audit.rows import Rows


def random_rows(seed: int, n: int = 150) -> Rows:
    rng = np.random.default_rng(seed)
    score = rng.integers(1, 20, n) / 20
    target = (rng.random(n) < 0.15 + 0.6 * score).astype(float)
    measured = {"dice": rng.random(n), "hd95_mm": np.where(rng.random(n) < 0.2, np.nan, rng.random(n) * 30)}
    return Rows(target, score, np.full(n, 0.4), measured)


def net_benefit(y: np.ndarray, called: np.ndarray, threshold: float) -> float:
    """Vickers and Elkin (2006): TP/n - FP/n × p_t / (1 - p_t)."""
    true, false = (called & (y == 1)).sum(), (called & (y == 0)).sum()
    return true / len(y) - false / len(y) * threshold / (1 - threshold)


def expected_calibration_error(y: np.ndarray, score: np.ndarray) -> float:
    observed, predicted = calibration_curve(y, score, n_bins=10, strategy="uniform")
    place = np.searchsorted(np.linspace(0, 1, 11)[1:-1], score)
    films = np.bincount(place, minlength=10)
    return float((films[films > 0] * np.abs(observed - predicted)).sum() / len(y))


def slope(y: np.ndarray, score: np.ndarray) -> float:
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(score)[:, None], y)
    return float(model.coef_[0, 0])


def intercept(y: np.ndarray, score: np.ndarray) -> float:
    return float(brentq(lambda a: (y - expit(a + logit(score))).sum(), -10, 10))


REFERENCES = {
    "auroc": lambda r: roc_auc_score(r.target, r.score),
    "auprc": lambda r: average_precision_score(r.target, r.score),
    "sensitivity": lambda r: fl.true_positive_rate(r.target, r.called.astype(float)),
    "specificity": lambda r: fl.true_negative_rate(r.target, r.called.astype(float)),
    "fnr": lambda r: fl.false_negative_rate(r.target, r.called.astype(float)),
    "fpr": lambda r: fl.false_positive_rate(r.target, r.called.astype(float)),
    "underdiagnosis_rate": lambda r: fl.false_positive_rate(r.target, r.called.astype(float)),
    "ppv": lambda r: precision_score(r.target, r.called),
    "npv": lambda r: precision_score(r.target, r.called, pos_label=0),
    "selection_rate": lambda r: fl.selection_rate(r.target, r.called.astype(float)),
    "agreement": lambda r: (r.target == r.called).mean(),
    "net_benefit": lambda r: net_benefit(r.target, r.called, 0.4),
    "prevalence": lambda r: r.target.mean(),
    "brier": lambda r: brier_score_loss(r.target, r.score),
    "ece": lambda r: expected_calibration_error(r.target, r.score),
    "calibration_slope": lambda r: slope(r.target, r.score),
    "calibration_intercept": lambda r: intercept(r.target, r.score),
    "dice": lambda r: r.measured["dice"].mean(),
    "hd95_mm": lambda r: np.nanmean(r.measured["hd95_mm"]),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", REFERENCES)
def test_metrics_equal_their_references(name: str, seed: int) -> None:
    rows = random_rows(seed)
    assert metric_named(name)(rows) == pytest.approx(REFERENCES[name](rows), abs=1e-5)


@pytest.mark.parametrize("positive", [0.0, 1.0])
def test_one_class_is_not_a_number_where_the_metric_needs_two(positive: float) -> None:
    rows = Rows(np.full(5, positive), np.linspace(0.1, 0.9, 5), np.full(5, 0.5))
    for name in REFERENCES:
        metric = metric_named(name)
        if {"positive", "negative"} <= metric.needs and name != "auprc":
            assert np.isnan(metric(rows)), name
    assert np.isnan(metric_named("sensitivity")(rows)) == (positive == 0)
    assert np.isnan(metric_named("specificity")(rows)) == (positive == 1)
    assert np.isnan(metric_named("auprc")(rows)) == (positive == 0)


def test_a_score_that_separates_or_never_moves_has_no_slope() -> None:
    target = np.array([0.0, 0, 0, 1, 1])
    apart, level = np.array([0.1, 0.2, 0.4, 0.4, 0.9]), np.full(5, 0.3)
    for score in (apart, 1 - apart, level, np.array([0.0, 1, 0, 1, 1])):
        assert np.isnan(metric_named("calibration_slope")(Rows(target, score, np.full(5, 0.5))))
    intercept_of = metric_named("calibration_intercept")
    assert intercept_of(Rows(target, level, np.full(5, 0.5))) == pytest.approx(logit(0.4) - logit(0.3))


def test_nobody_called_or_everybody() -> None:
    rows = random_rows(0)
    nobody = Rows(rows.target, rows.score, np.ones(150))
    everybody = Rows(rows.target, rows.score, np.zeros(150))
    assert np.isnan(metric_named("ppv")(nobody))
    assert np.isnan(metric_named("npv")(everybody))
    assert metric_named("net_benefit")(nobody) == 0
    assert metric_named("net_benefit")(everybody) == pytest.approx(rows.target.mean())


def test_films_without_a_measure_do_not_count() -> None:
    measured = {"dice": np.array([0.8, np.nan, 0.6])}
    assert metric_named("dice")(Rows(np.ones(3), np.ones(3), np.zeros(3), measured)) == pytest.approx(0.7)


def test_what_moves_with_prevalence_is_marked_and_not_tested() -> None:
    rng = np.random.default_rng(1)
    n = 100_000
    score = expit(rng.normal(-0.5, 1.5, n))
    target = (rng.random(n) < expit(0.8 * logit(score) - 0.5)).astype(float)
    rows = Rows(target, score, np.full(n, 0.4))
    fewer = rows.take((target == 1) | (rng.random(n) < 0.25))  # the same films, three quarters of the healthy ones gone
    for name in REFERENCES:
        metric = metric_named(name)
        if "classification" in metric.tasks:
            moved = abs(metric(fewer) - metric(rows)) > 0.015
            assert moved != metric.prevalence_free, name
        assert not (metric.tested and not metric.prevalence_free)


def test_underdiagnosis_belongs_to_the_label_that_calls_a_film_healthy() -> None:
    names = ("auroc", "specificity", "underdiagnosis_rate", "dice")
    assert [m.name for m in metrics_for(names, "classification", "Nodule", "No Finding")] == ["auroc", "specificity"]
    healthy = metrics_for(names, "classification", "no_finding", "No Finding")
    assert [m.name for m in healthy] == ["auroc", "underdiagnosis_rate"]
    assert [m.name for m in metrics_for(names, "segmentation", "lungs", "No Finding")] == ["dice"]
    assert same_label("No-finding", "no  FINDING")


def test_registry_holds_every_metric() -> None:
    for name, plugin in METRICS.plugins().items():
        assert plugin.load().name == name


def test_without_an_operating_point_only_metrics_without_a_threshold_apply() -> None:
    names = ("auroc", "sensitivity", "specificity", "underdiagnosis_rate", "ppv", "brier", "prevalence")
    chosen = metrics_for(names, "classification", "Nodule", "No Finding", has_threshold=False)
    assert [metric.name for metric in chosen] == ["auroc", "brier", "prevalence"]
