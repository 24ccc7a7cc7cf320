"""Intervals that do not collapse, and how uncertain films of the same patients are; against sums written out."""

import numpy as np
import pytest
from scipy import stats

from bias_audit.estimates import Makeup, Side, independent_films, interval_of, makeup_of
from bias_audit.metrics import metric_named
from bias_audit.rows import LabelRows, Rows


def random_rows(n: int = 300, patients: int = 90, seed: int = 0) -> LabelRows:
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, patients, n)
    score = np.sort(rng.random(n))
    target = (rng.random(n) < 0.2 + 0.4 * score).astype(float)
    member = np.stack([np.zeros(n, int), 1 + rng.integers(0, 3, n)], axis=1)
    return LabelRows(Rows(target, score, np.full(n, 0.5)), patient, member, 4)


def variance_by_hand(makeup: Makeup, weights: list[np.ndarray]) -> float:
    """Var of the sum over parts of Σ_p weight_ip × (mean of the patient's films), film weights by part and patient."""
    total = 0.0
    for i, a in enumerate(weights):
        for j, b in enumerate(weights):
            total += makeup.together[i, j] * (a * b).sum()
    return total


@pytest.mark.parametrize("name", ["auroc", "sensitivity"])
def test_variances_inside_in_the_rest_and_in_a_reference(name: str) -> None:
    data = random_rows()
    makeup = makeup_of(data, metric_named(name))
    assert makeup is not None
    dense = [m.toarray() for m in makeup.sums]
    sides = {"inside": makeup.inside, "rest": makeup.rest, "of": makeup.of(np.array([0, 2, 3, 1]))}
    for k in (1, 2, 3):
        films = {
            "inside": [m[k] for m in dense],
            "rest": [m[0] - m[k] for m in dense],
            "of": [m[[0, 2, 3, 1][k]] for m in dense],
        }
        for which, counts in films.items():
            shares = [m / m.sum() for m in counts]
            own = sum(v / m.sum() for v, m in zip(makeup.own, counts, strict=True))
            assert sides[which].variance()[k] == pytest.approx(own + variance_by_hand(makeup, shares))
            for i, mine in enumerate(films["inside"]):
                for j, other in enumerate(counts):
                    assert sides[which].shared[i, j, k] == pytest.approx((mine * other).sum())


def test_all_right_in_a_small_stratum_is_no_certainty() -> None:
    replicates = np.ones((1, 200))  # every film right in every replicate: the percentile interval is [1, 1]
    side = Side(np.array([0.09]), np.zeros((1, 1)), np.full((1, 1), 8.0), np.full((1, 1, 1), 8.0), np.zeros((1, 1, 1)))
    low, high = interval_of(replicates, side, np.array([8]), 0.9, metric_named("sensitivity"), 0.95)
    assert high[0] == 1.0
    assert low[0] == pytest.approx(0.676, abs=0.001)  # Wilson, 8 of 8


def test_a_metric_that_is_no_mean_does_not_collapse_either() -> None:
    low, high = interval_of(np.ones((1, 200)), None, np.array([8]), 1.0, metric_named("auprc"), 0.95)
    assert (low[0], high[0]) == pytest.approx((0.676, 1.0), abs=0.001)


def test_a_stratum_that_varies_more_than_the_others_gets_its_own_interval() -> None:
    spread = np.random.default_rng(0).normal(0.6, 0.08, (1, 4001))
    spread[0, 0] = 0.6
    side = Side(
        np.array([0.24]), np.zeros((1, 1)), np.full((1, 1), 100.0), np.full((1, 1, 1), 1.0), np.zeros((1, 1, 1))
    )
    low, high = interval_of(spread, side, np.array([100]), 0.6, metric_named("sensitivity"), 0.95)
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * 0.08, rel=0.1)  # 100 films alone would give 0.19


def test_a_share_of_independent_films_counts_its_films() -> None:
    films, squares = np.array([[3.0, 8.0]]), np.array([[[3.0, 16.0]]])
    apart = Side(np.array([0.21]), np.zeros((1, 1)), films, squares, squares)
    assert independent_films(apart, everyone=0.3) == pytest.approx([3, 8])
    alike = Side(np.zeros(1), np.array([[0.21]]), films, squares, squares)
    assert independent_films(alike, everyone=0.3) == pytest.approx([3, 4])


def test_a_mean_without_bounds_gets_students_interval() -> None:
    rng = np.random.default_rng(1)
    n = 40
    distance = rng.normal(12, 4, n)
    rows = Rows(np.ones(n), np.ones(n), np.zeros(n), {"hd95_mm": distance})
    data = LabelRows(rows, np.arange(n), np.zeros((n, 1), int), 1)
    metric = metric_named("hd95_mm")
    makeup = makeup_of(data, metric)
    assert makeup is not None
    replicates = np.full((1, 100), distance.mean())
    low, high = interval_of(replicates, makeup.inside, np.array([n]), distance.mean(), metric, 0.95)
    expected = stats.t.interval(0.95, n - 1, distance.mean(), stats.sem(distance))
    assert (low[0], high[0]) == pytest.approx(expected)


def test_patients_with_a_high_score_help_one_class_and_harm_the_other() -> None:
    rng = np.random.default_rng(2)
    patient = np.repeat(np.arange(200), 4)
    target = np.tile([1.0, 1, 0, 0], 200)
    score = target + 2 * rng.normal(size=200)[patient] + rng.normal(size=800)
    order = np.argsort(score)
    rows = Rows(target[order], score[order], np.zeros(800))
    makeup = makeup_of(LabelRows(rows, patient[order], np.zeros((800, 1), int), 1), metric_named("auroc"))
    assert makeup is not None
    assert makeup.together[0, 1] < -0.5 * makeup.together[0, 0]
