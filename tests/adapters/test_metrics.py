import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score, roc_auc_score

from adapters.metrics import Counts, auroc, mean_of, one_class_reason


def test_figures_equal_scikit_learn_and_unknown_is_left_out() -> None:
    rng = np.random.default_rng(1)
    target = rng.integers(0, 2, 200).astype(float)
    score = rng.random(200)
    decision = score > 0.4
    unknown = rng.random(200) < 0.2
    counts = Counts.of(np.where(unknown, np.nan, target), decision)
    truth, said = target[~unknown], decision[~unknown]
    assert counts.f1 == pytest.approx(f1_score(truth, said))
    assert counts.accuracy == pytest.approx(accuracy_score(truth, said))
    assert counts.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, said))
    assert counts.sensitivity == pytest.approx(recall_score(truth, said))
    assert counts.specificity == pytest.approx(recall_score(1 - truth, ~said))
    assert auroc(np.where(unknown, np.nan, target), score) == pytest.approx(roc_auc_score(truth, score[~unknown]))


def test_undefined_is_none_with_a_reason() -> None:
    only_positive = np.array([1.0, 1.0, np.nan])
    assert auroc(only_positive, np.array([0.1, 0.2, 0.3])) is None
    assert one_class_reason(only_positive) == "2 positive and 0 negative films"
    assert one_class_reason(np.array([0.0, 1.0])) is None
    counts = Counts.of(np.array([np.nan]), np.array([True]))
    assert (counts.f1, counts.accuracy, counts.sensitivity, counts.balanced_accuracy) == (None,) * 4
    assert mean_of([None, 0.5, 1.0]) == 0.75
    assert mean_of([None]) is None
