"""Intervals that do not collapse, and the number of independent films behind an estimate."""

import numpy as np
import pytest

from bias_audit.estimates import Part, independent_films, interval_of, parts_of
from bias_audit.metrics import AUROC, SENSITIVITY, Rows
from bias_audit.replicates import LabelRows


def test_all_right_in_a_small_stratum_is_no_certainty() -> None:
    replicates = np.ones((1, 200))  # every film right in every replicate: the percentile interval is [1, 1]
    part = Part(variance=0.09, correlation=0.0, per_patient=np.ones((1, 8)))
    low, high = interval_of(replicates, [part], everyone=0.9, confidence=0.95)
    assert high[0] == 1.0
    assert low[0] == pytest.approx(0.676, abs=0.001)  # Wilson, 8 of 8


def test_a_share_of_independent_films_counts_its_films() -> None:
    part = Part(variance=0.21, correlation=0.0, per_patient=np.array([[1.0, 1, 1, 0], [2, 2, 2, 2]]))
    assert independent_films([part], everyone=0.3) == pytest.approx([3, 8])
    alike = Part(variance=0.21, correlation=1.0, per_patient=part.per_patient)
    assert independent_films([alike], everyone=0.3) == pytest.approx([3, 4])


def test_parts_of_a_rate_and_of_an_auroc() -> None:
    target = np.array([1.0, 1, 0, 0, 0])
    rows = Rows(target, np.array([0.2, 0.4, 0.5, 0.7, 0.9]), np.array([0, 0, 1, 1, 1], bool), np.full(5, np.nan))
    data = LabelRows(rows, np.array([0, 1, 1, 2, 2]), np.zeros((5, 1), int), 1)
    [sensitivity] = parts_of(data, SENSITIVITY)
    assert sensitivity.per_patient.tolist() == [[1, 1, 0]]
    positive, negative = parts_of(data, AUROC)
    assert positive.per_patient.tolist() == [[1, 1, 0]]
    assert negative.per_patient.tolist() == [[0, 1, 2]]
    assert positive.rest().per_patient.tolist() == [[0, 0, 0]]
