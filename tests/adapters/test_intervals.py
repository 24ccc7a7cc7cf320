import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from adapters.intervals import PatientBootstrap, interval, mean_over_labels


def _films(n_patients: int = 30, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, n_patients, 100))
    target = rng.integers(0, 2, 100).astype(float)
    target[rng.random(100) < 0.2] = np.nan
    return [f"p{i:02d}" for i in patient], target, np.round(np.nan_to_num(target) + rng.normal(0, 1, 100), 1)


def test_replicates_equal_scikit_learn_on_the_films_drawn() -> None:
    """250 replicates: more than one block of them."""
    ids, target, score = _films()
    found = PatientBootstrap(ids, n_replicates=250, seed=3)
    patients = sorted(set(ids))
    rng = np.random.default_rng(3)
    aurocs, means = found.auroc(target, score), found.mean(np.where(target == 1, score, np.nan))
    for replicate in range(250):
        drawn = rng.integers(0, len(patients), len(patients))
        if replicate % 7:
            continue
        films = [i for place in drawn for i, name in enumerate(ids) if name == patients[place]]
        known = [i for i in films if np.isfinite(target[i])]
        assert aurocs[replicate] == pytest.approx(roc_auc_score(target[known], score[known]))
        assert means[replicate] == pytest.approx(score[[i for i in known if target[i] == 1]].mean())


def test_an_undefined_replicate_is_no_number_and_too_many_give_no_interval() -> None:
    bootstrap = PatientBootstrap(["a", "b"], n_replicates=400)
    replicates = bootstrap.auroc(np.array([1.0, 0.0]), np.array([0.9, 0.1]))
    assert 0.3 < np.isnan(replicates).mean() < 0.7  # both patients are drawn in half of the replicates
    assert set(replicates[np.isfinite(replicates)]) == {1.0}
    assert interval(np.array([np.nan, np.nan, 0.5])) == (None, None)
    assert interval(np.array([])) == (None, None)
    assert interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))
    assert np.isnan(bootstrap.mean(np.array([np.nan, np.nan]))).all()


def test_a_mean_over_labels_takes_what_is_defined() -> None:
    found = mean_over_labels([np.array([0.5, np.nan, np.nan]), np.array([1.0, 0.7, np.nan])])
    np.testing.assert_allclose(found, [0.75, 0.7, np.nan])
    assert interval(mean_over_labels([])) == (None, None)


def test_films_of_one_patient_widen_the_interval() -> None:
    """The same 60 answers, from 60 patients and from 12 who were asked five times."""
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(12) % 2, 5).astype(float)
    score = target + np.repeat(rng.normal(0, 1, 12), 5)
    apart = interval(PatientBootstrap([str(i) for i in range(60)]).auroc(target, score))
    together = interval(PatientBootstrap([str(i // 5) for i in range(60)]).auroc(target, score))
    assert (together[1] or 0) - (together[0] or 0) > 1.5 * ((apart[1] or 0) - (apart[0] or 0))
