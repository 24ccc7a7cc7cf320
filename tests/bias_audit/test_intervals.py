"""Bootstrap multiplicities, percentile and Wilson intervals, likeness of films of one patient."""

import numpy as np
import pytest
from scipy import stats

from bias_audit.intervals import (
    bootstrap_variance,
    mean_interval,
    patient_multiplicities,
    student_factor,
    wilson_interval,
    within_patients,
)


def test_multiplicities_add_up_and_start_with_the_sample_itself() -> None:
    weights = patient_multiplicities(40, 300, np.random.default_rng(0))
    assert weights.shape == (40, 301)
    assert (weights[:, 0] == 1).all()
    assert (weights.sum(axis=0) == 40).all()
    # each patient is drawn Binomial(40, 1/40) times: variance 0.975
    assert weights[:, 1:].var() == pytest.approx(0.975, rel=0.05)


def test_same_seed_same_multiplicities() -> None:
    first, second = (patient_multiplicities(30, 10, np.random.default_rng(7)) for _ in range(2))
    assert (first == second).all()
    assert (first != patient_multiplicities(30, 10, np.random.default_rng(8))).any()


@pytest.mark.parametrize(("hits", "films"), [(0, 8), (8, 8), (3, 17), (50, 90)])
def test_wilson_equals_scipy(hits: int, films: int) -> None:
    expected = stats.binomtest(hits, films).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(np.array([hits / films]), np.array([float(films)]), 0.95)
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_films_of_a_patient_move_together_or_not() -> None:
    rng = np.random.default_rng(1)
    value, patient = rng.normal(size=2000), np.arange(2000)
    variance, together = within_patients([value], patient)
    assert variance[0] == pytest.approx(value.var(ddof=1))
    assert together[0, 0] == 0.0  # nobody has two films
    _, copies = within_patients([np.concatenate([value, value])], np.tile(patient, 2))
    assert copies[0, 0] == pytest.approx(value.var(), rel=0.01)
    _, strangers = within_patients([rng.normal(size=4000)], np.tile(patient, 2))
    assert strangers[0, 0] < 0.06


def test_two_classes_of_one_patient_pull_apart() -> None:
    rng = np.random.default_rng(2)
    effect, patient = rng.normal(size=3000), np.tile(np.arange(3000), 2)
    first = np.concatenate([effect + 0.1 * rng.normal(size=3000), np.full(3000, np.nan)])
    second = np.concatenate([np.full(3000, np.nan), -effect])
    _, together = within_patients([first, second], patient)
    assert together[0, 1] == together[1, 0]
    # neither class has two films of a patient, so nothing says how alike they are, and no correlation may pass 1
    assert together[0, 1] == 0.0
    twice = [np.concatenate([v, v]) for v in (first, second)]
    _, together = within_patients(twice, np.concatenate([patient, patient]))
    assert together[0, 1] == pytest.approx(-1.0, abs=0.06)


def test_bootstrap_variance_leaves_undefined_replicates_out() -> None:
    replicates = np.array([[1.0, 2.0, np.nan, 3.0], [np.nan] * 4])
    assert bootstrap_variance(replicates) == pytest.approx([2 / 3, 0.0])


def test_students_interval_equals_scipy() -> None:
    low, high = mean_interval(np.array([2.0]), np.array([0.09]), np.array([12.0]), 0.9)
    assert (low[0], high[0]) == pytest.approx(stats.t.interval(0.9, 11, 2.0, 0.3))


def test_few_patients_make_a_bootstrap_variance_larger() -> None:
    factor = student_factor(np.array([5, 10_000]), 0.95)
    assert factor[0] == pytest.approx((stats.t.ppf(0.975, 4) / 1.959964) ** 2, rel=1e-5)
    assert factor[1] == pytest.approx(1.0, abs=1e-3)
