"""Each metric against scikit-learn or fairlearn on random rows with ties; undefined is a reason."""

import fairlearn.metrics as fl
import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, precision_score, roc_auc_score

from bias_audit.metrics import (
    AUROC,
    BRIER,
    DICE,
    METRICS,
    PPV,
    PREVALENCE,
    SENSITIVITY,
    SPECIFICITY,
    UNDERDIAGNOSIS_RATE,
    Rows,
    metrics_for,
    same_label,
)


def random_rows(seed: int, n: int = 120) -> Rows:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 11, n) / 10
    target = (rng.random(n) < 0.2 + 0.5 * score).astype(float)
    return Rows(target, score, score >= 0.5, np.full(n, np.nan))


@pytest.mark.parametrize("seed", range(5))
def test_metrics_equal_their_references(seed: int) -> None:
    rows = random_rows(seed)
    y, called = rows.target.astype(int), rows.called.astype(int)
    assert AUROC(rows) == pytest.approx(roc_auc_score(y, rows.score))
    assert SENSITIVITY(rows) == pytest.approx(fl.true_positive_rate(y, called))
    assert SPECIFICITY(rows) == pytest.approx(fl.true_negative_rate(y, called))
    assert UNDERDIAGNOSIS_RATE(rows) == pytest.approx(fl.false_positive_rate(y, called))
    assert PPV(rows) == pytest.approx(precision_score(y, called))
    assert BRIER(rows) == pytest.approx(brier_score_loss(y, rows.score))
    assert PREVALENCE(rows) == pytest.approx(y.mean())


def test_undefined_is_not_a_number_with_a_reason() -> None:
    ones = Rows(np.ones(3), np.array([0.2, 0.6, 0.9]), np.array([False, True, True]), np.full(3, np.nan))
    assert SPECIFICITY.defined_for(3, 0) == "every film has the finding"
    assert AUROC.defined_for(3, 0) == "every film has the finding"
    assert AUROC.defined_for(0, 3) == "no film with the finding"
    assert SENSITIVITY.defined_for(3, 0) is None
    assert PPV.defined_for(3, 3, 0) == "no film is called positive"
    assert np.isnan(SPECIFICITY(ones))
    assert np.isnan(AUROC(ones))
    assert SENSITIVITY(ones) == pytest.approx(2 / 3)


def test_dice_leaves_films_without_reference_out() -> None:
    rows = Rows(np.ones(3), np.ones(3), np.ones(3, bool), np.array([0.8, np.nan, 0.6]))
    assert DICE(rows) == pytest.approx(0.7)


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
