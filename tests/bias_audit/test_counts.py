"""Counts and statuses: minimums count patients, and the reason says which one failed."""

import numpy as np

from bias_audit.counts import count_strata
from bias_audit.metrics import AUROC, BRIER, PPV, SENSITIVITY, SPECIFICITY, Rows
from bias_audit.replicates import LabelRows


def label_rows(target: list[float], patient: list[int], stratum: list[int], called: list[bool]) -> LabelRows:
    n = len(target)
    rows = Rows(np.array(target), np.linspace(0, 1, n), np.array(called), np.full(n, np.nan))
    member = np.stack([np.zeros(n, int), np.array(stratum)], axis=1)
    return LabelRows(rows, np.array(patient), member, 4)


DATA = label_rows(
    target=[1, 1, 0, 0, 1, 1, 1],
    patient=[0, 0, 0, 1, 2, 3, 3],
    stratum=[1, 1, 1, 1, 2, 2, 2],
    called=[True, False, False, False, False, False, False],
)


def test_counts_inside_and_in_the_rest() -> None:
    inside, rest = count_strata(DATA)
    assert inside.films.tolist() == [7, 4, 3, 0]
    assert inside.patients.tolist() == [4, 2, 2, 0]
    assert inside.positive_films.tolist() == [5, 2, 3, 0]
    assert inside.positive_patients.tolist() == [3, 1, 2, 0]
    assert inside.negative_patients.tolist() == [2, 2, 0, 0]
    assert rest.films.tolist() == [0, 3, 4, 7]
    assert rest.positive_patients.tolist() == [0, 2, 1, 3]


def test_statuses_name_what_is_missing() -> None:
    inside, _ = count_strata(DATA)
    assert inside.status(0, SENSITIVITY, 4, 3) == ("ok", None)
    assert inside.status(0, SENSITIVITY, 5, 3) == ("too_few", "4 patients, at least 5 needed")
    assert inside.status(1, SENSITIVITY, 2, 2) == ("too_few", "1 patient with the finding, at least 2 needed")
    assert inside.status(0, AUROC, 4, 3) == ("too_few", "2 patients without the finding, at least 3 needed")
    assert inside.status(2, SPECIFICITY, 1, 1) == ("undefined", "every film has the finding")
    assert inside.status(2, SENSITIVITY, 1, 1) == ("ok", None)
    assert inside.status(2, PPV, 1, 1) == ("undefined", "no film is called positive")
    assert inside.status(3, BRIER, 1, 1) == ("undefined", "no film with a known answer")
