"""Patients swap groups whole; p-values against every permutation written out, and uniform where nothing depends."""

from itertools import permutations

import numpy as np
import pytest

from bias_audit.metrics import metric_named
from bias_audit.permutation import permutation_p_values, swapped
from bias_audit.replicates import replicate_all
from bias_audit.rows import LabelRows, Rows


def rows_of(called: np.ndarray, patient: np.ndarray, group: np.ndarray) -> LabelRows:
    n = len(called)
    rows = Rows(np.ones(n), called.astype(float), np.full(n, 0.5))
    return LabelRows(rows, patient, np.stack([np.zeros(n, int), 1 + group], axis=1), 3)


def test_a_swap_keeps_patients_whole_and_strata_as_large() -> None:
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(60), rng.integers(1, 4, 60))
    data = rows_of(rng.random(len(patient)) < 0.5, patient, (np.arange(60) % 2)[patient])
    again = swapped(data, rng)
    assert (np.bincount(again.member[:, 1]) == np.bincount(data.member[:, 1])).all()
    for one in range(60):
        assert len(np.unique(again.member[patient == one, 1])) == 1
    assert (again.member != data.member).any()


def test_p_value_agrees_with_every_permutation() -> None:
    called = np.array([1, 1, 1, 0, 1, 0, 0, 0])
    group = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    data = rows_of(called, np.arange(8), group)
    sensitivity = metric_named("sensitivity")
    replicates = replicate_all(data, [sensitivity], np.ones((8, 1), np.uint16), np.ones(3, bool), 1)
    found = permutation_p_values(data, [sensitivity], replicates, 4000, np.random.default_rng(1))["sensitivity"]
    observed = abs(called[group == 0].mean() - called[group == 1].mean())
    gaps = [abs(called[list(p[:4])].mean() - called[list(p[4:])].mean()) for p in permutations(range(8))]
    exact = np.mean(np.array(gaps) >= observed - 1e-12)
    assert found[1] == pytest.approx(exact, abs=0.03)
    assert found[1] == found[2]
    assert np.isnan(found[0])


def test_no_dependence_gives_uniform_p_values() -> None:
    rng = np.random.default_rng(2)
    sensitivity = metric_named("sensitivity")
    found = []
    for _ in range(150):
        patient = np.repeat(np.arange(30), 3)
        effect = rng.normal(size=30)[patient]
        data = rows_of(effect + rng.normal(size=90) > 0, patient, (rng.random(30) < 0.4).astype(int)[patient])
        replicates = replicate_all(data, [sensitivity], np.ones((30, 1), np.uint16), np.ones(3, bool), 1)
        found.append(permutation_p_values(data, [sensitivity], replicates, 39, rng)["sensitivity"][1])
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.07)
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)
