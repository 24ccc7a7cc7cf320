"""Weighted AUROC against scikit-learn, with ties."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bias_audit.auroc import Ranks, auroc, placements


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("levels", [3, 20, 10_000])
def test_equals_scikit_learn_with_weights_and_ties(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, levels, 150) / levels
    positive = rng.random(150) < 0.3
    weight = rng.integers(0, 4, 150).astype(float)
    expected = roc_auc_score(positive, score, sample_weight=weight)
    assert auroc(score, positive, weight) == pytest.approx(expected, abs=1e-12)
    assert auroc(score, positive) == pytest.approx(roc_auc_score(positive, score), abs=1e-12)


def test_one_class_is_not_a_number() -> None:
    assert np.isnan(auroc(np.array([0.1, 0.9]), np.array([True, True])))
    assert np.isnan(auroc(np.array([0.1, 0.9]), np.array([True, False]), np.array([1.0, 0.0])))


def test_golden_with_a_tie() -> None:
    # pairs: 0.5>0.2 yes, 0.5=0.5 half, 0.9>both yes → 3.5 of 4
    assert auroc(np.array([0.5, 0.9, 0.2, 0.5]), np.array([True, True, False, False])) == 0.875


def test_placements_average_to_the_auroc_in_both_classes() -> None:
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 9, 80) / 9, rng.random(80) < 0.4
    share = placements(score, positive)
    area = roc_auc_score(positive, score)
    assert share[positive].mean() == pytest.approx(area)
    assert share[~positive].mean() == pytest.approx(area)


def test_weight_below_takes_a_matrix_of_weights() -> None:
    ranks = Ranks.of(np.array([0.5]), np.array([0.1, 0.5, 0.9]))
    below = ranks.weight_below(np.array([[1.0, 2.0], [4.0, 6.0], [9.0, 9.0]]))
    assert below.tolist() == [[3.0, 5.0]]
