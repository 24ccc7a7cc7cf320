import numpy as np
import pytest
from scipy.stats import binom

from raydino.curation.thresholds import calibrate, upper_limit
from raydino.errors import UserError


@pytest.fixture
def strangers():
    return np.tanh(np.random.default_rng(0).normal(0.5, 0.1, 3000)).astype(np.float32)


@pytest.mark.parametrize(("count", "of"), [(0, 600), (3, 2000), (50, 60)])
def test_the_limit_is_where_so_few_come_once_in_twenty_times(count, of):
    assert binom.cdf(count, of, upper_limit(count, of)) == pytest.approx(0.05, abs=1e-6)


def test_the_limit_of_nothing_and_of_all():
    assert upper_limit(0, 0) == upper_limit(5, 5) == 1


def test_in_a_gap_the_threshold_is_its_middle(strangers):
    copies = np.random.default_rng(1).uniform(0.9, 1, 500).astype(np.float32)
    found = calibrate({"a": copies[:250], "b": copies[250:]}, strangers)
    assert np.sort(strangers)[-20] < found.threshold < 0.9
    assert found.recall == 1
    assert found.recalls == {"a": 1, "b": 1}
    assert found.separates
    found.require_separates()


def test_where_they_overlap_the_false_merges_decide(strangers):
    copies = np.tanh(np.random.default_rng(1).normal(0.8, 0.1, 1000)).astype(np.float32)
    found = calibrate({"a": copies}, strangers, false_merge_rate=0.01)
    n_false = int((strangers >= found.threshold).sum())
    assert found.false_merge_limit == pytest.approx(upper_limit(n_false, 3000))
    assert upper_limit(n_false, 3000) <= 0.01 < upper_limit(n_false + 1, 3000)
    assert found.recall == pytest.approx((copies >= found.threshold).mean())
    assert 0.6 < found.recall < 0.95
    looser = calibrate({"a": copies}, strangers, false_merge_rate=0.05)
    assert looser.threshold < found.threshold


@pytest.mark.parametrize("n_twice", [10, 150, 900])
def test_films_that_stand_under_two_patients_do_not_raise_the_threshold(strangers, n_twice):
    rng = np.random.default_rng(2)
    copies = rng.uniform(0.85, 1, 500).astype(np.float32)
    mixed = np.concatenate([strangers, rng.uniform(0.85, 1, n_twice).astype(np.float32)])
    found = calibrate({"a": copies}, mixed)
    assert found.n_suspects >= 0.97 * n_twice
    assert found.recall > 0.96
    assert found.false_merge_limit <= 0.005


def test_alike_as_copies_is_refused(strangers):
    found = calibrate({"a": strangers[:500]}, strangers[500:])
    assert not found.separates
    with pytest.raises(UserError, match="cannot tell copies from other patients"):
        found.require_separates()


def test_too_few_films_for_the_rate(strangers):
    copies = {"a": np.full(10, 0.95, np.float32)}
    with pytest.raises(UserError, match=r"100 films are too few to hold false merges below 0\.50%; a rate of 2\.95%"):
        calibrate(copies, strangers[:100])
    assert calibrate(copies, strangers[:100], false_merge_rate=0.0296).separates


def test_one_patient_alone_cannot_calibrate():
    with pytest.raises(UserError, match="at least two patients"):
        calibrate({"a": np.ones(3, np.float32)}, np.empty(0, np.float32))
