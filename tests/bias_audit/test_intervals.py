"""Bootstrap multiplicities, percentile and Wilson intervals, likeness of films of one patient."""

import numpy as np
import pytest
from scipy import stats

from bias_audit.intervals import (
    effective_films,
    intracluster_correlation,
    patient_multiplicities,
    percentile_interval,
    wilson_interval,
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


def test_percentile_interval_leaves_undefined_replicates_out() -> None:
    replicates = np.array([[*np.linspace(0, 1, 101), np.nan, np.nan]])
    low, high = percentile_interval(replicates, 0.9)
    assert low[0] == pytest.approx(0.05)
    assert high[0] == pytest.approx(0.95)


@pytest.mark.parametrize(("hits", "films"), [(0, 8), (8, 8), (3, 17), (50, 90)])
def test_wilson_equals_scipy(hits: int, films: int) -> None:
    expected = stats.binomtest(hits, films).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(np.array([hits / films]), np.array([float(films)]), 0.95)
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_correlation_of_copies_is_one_and_of_strangers_none() -> None:
    rng = np.random.default_rng(1)
    value = rng.normal(size=2000)
    patient = np.arange(2000)
    assert intracluster_correlation(value, patient) == 0.0
    twice = np.concatenate([value, value])
    assert intracluster_correlation(twice - twice.mean(), np.tile(patient, 2)) == pytest.approx(1, abs=0.01)
    independent = rng.normal(size=4000)
    assert intracluster_correlation(independent - independent.mean(), np.tile(patient, 2)) < 0.06


def test_effective_films_between_patients_and_films() -> None:
    per_patient = np.array([[2.0, 2.0, 2.0, 2.0], [0, 0, 0, 0]])
    assert effective_films(per_patient, 0.0).tolist() == [8, 0]
    assert effective_films(per_patient, 1.0).tolist() == [4, 0]
