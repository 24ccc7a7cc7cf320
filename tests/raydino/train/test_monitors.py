"""Monitors against loops written from the formulas, in float64, and the warnings of a history."""

import math

import numpy as np
import pytest

from raydino.train.monitors import (
    dimension_std,
    feature_rank,
    limits,
    mean_cosine,
    neighbour_distance,
    patch_rank,
    spread,
    warnings,
)


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(40, 7)) + 0.5


def test_rank_is_the_papers_formula(features):
    eigenvalues = np.linalg.eigvalsh(features.T @ features)
    sigma = np.sqrt(eigenvalues)
    shares = [s / sigma.sum() + 1e-7 for s in sigma]
    assert feature_rank(features) == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)), rel=1e-12)


def test_rank_counts_equal_directions():
    orthogonal = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 5)))[0]
    assert feature_rank(orthogonal) == pytest.approx(5, abs=1e-4)
    assert feature_rank(np.outer(np.arange(1.0, 9), [1, 2, 3])) == pytest.approx(1, abs=1e-4)
    assert feature_rank(np.zeros((4, 3))) == 1


def test_patch_rank_is_of_each_film_by_itself():
    one_place = np.ones((6, 3))  # every patch alike, but films differ
    films = np.stack([one_place, one_place * [1, -1, 2]])
    assert patch_rank(films) == pytest.approx(1, abs=1e-4)
    assert feature_rank(films.reshape(-1, 3)) > 1.5


def test_distances_and_cosines_equal_loops(features):
    unit = [row / np.linalg.norm(row) for row in features]
    n = len(unit)
    nearest = [min(np.linalg.norm(unit[i] - unit[j]) for j in range(n) if j != i) for i in range(n)]
    cosines = [float(unit[i] @ unit[j]) for i in range(n) for j in range(n) if i != j]
    deviations = [math.sqrt(np.mean([(u[d] - np.mean([v[d] for v in unit])) ** 2 for u in unit])) for d in range(7)]
    assert neighbour_distance(features) == pytest.approx(np.mean(nearest), rel=1e-12)
    assert mean_cosine(features) == pytest.approx(np.mean(cosines), rel=1e-12)
    assert dimension_std(features) == pytest.approx(np.mean(deviations) * math.sqrt(7), rel=1e-12)


def test_a_point_and_a_sphere():
    point = np.tile([1.0, 2, 3], (20, 1))
    sphere = np.random.default_rng(1).normal(size=(4000, 16))
    assert neighbour_distance(point) == 0
    assert mean_cosine(point) == pytest.approx(1)
    assert dimension_std(point) == pytest.approx(0, abs=1e-12)
    assert mean_cosine(sphere) == pytest.approx(0, abs=0.01)
    assert dimension_std(sphere) == pytest.approx(1, abs=0.02)
    assert math.isnan(neighbour_distance(point[:1]))
    assert set(spread(point, point[None])) == {
        *("feature_rank", "patch_rank", "neighbour_distance", "dimension_std", "mean_cosine")
    }


def history(entropies, every=20, **more):
    return [{"step": every * (i + 1), "teacher_entropy": e, **more} for i, e in enumerate(entropies)]


LIMITS = {"n_prototypes": 1024, "warmup_steps": 60, "patience_steps": 100}
UNIFORM = math.log(1024)


def test_a_healthy_run_gets_no_warning():
    assert warnings([], **LIMITS) == {}
    assert warnings(history([6.93, 6.93, 6.9, 6.5, 6.3, 6.3, 6.2, 6.3, 6.1, 6.0], feature_rank=30.0), **LIMITS) == {}


def test_uniform_targets_are_told_after_a_while_and_not_in_warm_up():
    assert warnings(history([UNIFORM] * 8), **LIMITS) == {}  # steps 80..160 count: too short yet
    told = warnings(history([6.0, 6.0, 6.0, *[0.995 * UNIFORM] * 6]), **LIMITS)
    assert list(told) == ["uniform targets"]
    assert "uniform since step 80 (entropy 6.90 of ln K = 6.93 nats)" in told["uniform targets"]
    assert warnings(history([*[UNIFORM] * 12, 6.5]), **LIMITS) == {}  # it recovered
    assert warnings(history([*[UNIFORM] * 9, None, float("nan"), UNIFORM]), **LIMITS)  # unknown rows break nothing


def test_one_hot_targets_and_a_point():
    assert "a single prototype since step 80" in warnings(history([0.001] * 10), **LIMITS)["one-hot targets"]
    told = warnings([{"step": 5, "feature_rank": 40.0}, {"step": 9, "feature_rank": 1.02}], **LIMITS)
    assert "along one direction at step 9 (rank 1.02)" in told["a point"]


def test_a_student_that_guesses_is_told_before_the_targets_are_uniform():
    rows = history([6.5] * 12, dino_global=UNIFORM / 5, dino_local=UNIFORM * 4 / 5)
    told = warnings(rows, **LIMITS)["a guessing student"]
    assert "by guessing since step 80 (dino_global + dino_local is 6.93" in told
    halved = [{**row, "dino_global": row["dino_global"] / 2, "dino_local": row["dino_local"] / 2} for row in rows]
    assert "a guessing student" in warnings(halved, **LIMITS, dino_weight=0.5)
    assert warnings(halved, **LIMITS) == {}  # well below ln K: the student tells them
    assert warnings(rows, **LIMITS, dino_weight=0.0) == {}


def test_limits_are_read_from_a_recipe():
    recipe = {"steps": 4000, "head": {"n_prototypes": 1024}, "optimizer": {"warmup_steps": 60}}
    assert limits(recipe) == {**LIMITS, "patience_steps": 200, "dino_weight": 1.0}
    assert limits({**recipe, "steps": 600, "loss": {"dino": 0.5}}) == {**LIMITS, "dino_weight": 0.5}
