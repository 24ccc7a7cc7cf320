import numpy as np
import pytest
from sklearn.metrics import roc_curve

from adapters.thresholds import AtSensitivity, AtSpecificity, best_dice, operating_point, youden


def test_youden_reaches_the_largest_j_of_the_roc_curve() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        target = (rng.random(60) < 0.3).astype(float)
        score = np.round((target + rng.normal(0, 1, 60)), 1)  # rounding makes ties
        false_positive, true_positive, _ = roc_curve(target, score)
        decision = score >= youden(target, score)
        j = decision[target == 1].mean() - decision[target == 0].mean()
        assert j == pytest.approx((true_positive - false_positive).max())


def test_youden_lies_between_the_classes_and_takes_the_middle_of_equal_ones() -> None:
    assert youden(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])) == pytest.approx(0.5)
    assert youden(np.array([0.0, 1]), np.array([0.3, 0.3])) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="positives and negatives"):
        youden(np.ones(3), np.arange(3.0))


def test_best_dice_finds_the_planted_threshold() -> None:
    mask = np.zeros((2, 4, 4), bool)
    mask[:, :2] = True
    probability = np.where(mask, 0.32, 0.27)
    assert best_dice(probability, mask) == pytest.approx(0.30)


def test_best_dice_counts_two_empty_masks_as_agreement() -> None:
    assert best_dice(np.full((3, 4, 4), 0.6), np.zeros((3, 4, 4), bool)) == pytest.approx(0.65)


def test_a_score_that_does_not_separate_has_no_operating_point() -> None:
    target = np.tile([0.0, 1.0], 40)
    noise = np.random.default_rng(0).random(80)
    assert operating_point(target, noise, n_labels=1) is None
    good = target + noise
    assert operating_point(target, good, n_labels=6) == youden(target, good)
    few = np.array([0.0, 0, 0, 1, 1])  # the best order of these has p = 0.1
    assert operating_point(few, np.arange(5.0), n_labels=1) is None


def test_labels_share_the_level() -> None:
    """4 of 4 above 3 of 3: p = 1/35 = 0.029, enough for one label and not for two."""
    target, score = np.array([0.0, 0, 0, 1, 1, 1, 1]), np.arange(7.0)
    assert operating_point(target, score, n_labels=1) is not None
    assert operating_point(target, score, n_labels=2) is None


def test_fixed_sensitivity_and_specificity_are_kept_and_no_more_is_paid_than_needed() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        target = (rng.random(80) < 0.4).astype(float)
        score = np.round(target + rng.normal(0, 1, 80), 1)  # rounding makes ties
        false_positive, true_positive, _ = roc_curve(target, score, drop_intermediate=False)
        called = score >= (AtSensitivity(kind="sensitivity", at=0.9).threshold(target, score) or np.nan)
        assert called[target == 1].mean() >= 0.9
        assert called[target == 0].mean() == pytest.approx(false_positive[true_positive >= 0.9].min())
        called = score >= (AtSpecificity(kind="specificity", at=0.95).threshold(target, score) or np.nan)
        assert called[target == 0].mean() <= 0.05 + 1e-12
        assert called[target == 1].mean() == pytest.approx(true_positive[false_positive <= 0.05 + 1e-12].max())


def test_rules_at_their_ends() -> None:
    target, score = np.array([1.0, 0, 0, 1]), np.array([0.1, 0.2, 0.3, 0.9])
    assert AtSensitivity(kind="sensitivity", at=1.0).threshold(target, score) == 0.1  # calls everyone
    assert AtSpecificity(kind="specificity", at=1.0).threshold(target, score) == pytest.approx(0.6)
    assert AtSpecificity(kind="specificity", at=1.0).threshold(1 - target, score) is None  # only calling nobody would
    assert AtSpecificity(kind="specificity", at=0.5).threshold(target, np.ones(4)) is None
