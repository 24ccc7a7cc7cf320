"""Counts and statuses: minimums count patients, and the reason says which one failed."""

import numpy as np

from bias_audit.counts import count_strata
from bias_audit.metrics import metric_named
from bias_audit.rows import LabelRows, Rows


def label_rows(target: list[float], patient: list[int], stratum: list[int], called: list[bool]) -> LabelRows:
    n = len(target)
    distance = {"hd95_mm": np.array([3.0, np.nan, 2.0, 4.0, np.nan, np.nan, np.nan])}
    rows = Rows(np.array(target), np.array(called) * 1.0, np.full(n, 0.5), distance)
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
    assert inside.films["all"].tolist() == [7, 4, 3, 0]
    assert inside.patients["all"].tolist() == [4, 2, 2, 0]
    assert inside.films["positive"].tolist() == [5, 2, 3, 0]
    assert inside.patients["positive"].tolist() == [3, 1, 2, 0]
    assert inside.patients["negative"].tolist() == [2, 2, 0, 0]
    assert inside.films["hd95_mm"].tolist() == [3, 3, 0, 0]
    assert rest.films["all"].tolist() == [0, 3, 4, 7]
    assert rest.patients["positive"].tolist() == [0, 2, 1, 3]


def test_a_patient_with_films_on_both_sides_counts_on_both() -> None:
    data = label_rows([1, 1, 0, 0, 1, 1, 1], [0, 0, 0, 1, 2, 3, 3], [1, 2, 2, 1, 2, 2, 2], [False] * 7)
    inside, rest = count_strata(data)
    assert inside.patients["all"].tolist() == [4, 2, 3, 0]
    assert rest.patients["all"].tolist() == [0, 3, 2, 4]


def test_statuses_name_what_is_missing() -> None:
    inside, _ = count_strata(DATA)
    sensitivity, specificity, auroc, ppv, brier, distance = (
        metric_named(name) for name in ("sensitivity", "specificity", "auroc", "ppv", "brier", "hd95_mm")
    )
    assert inside.status(0, sensitivity, 4, 3) == ("ok", None)
    assert inside.status(0, sensitivity, 5, 3) == ("too_few", "4 patients, at least 5 needed")
    assert inside.status(1, sensitivity, 2, 2) == ("too_few", "1 patient with the finding, at least 2 needed")
    assert inside.status(0, auroc, 4, 3) == ("too_few", "2 patients without the finding, at least 3 needed")
    assert inside.status(2, specificity, 1, 1) == ("undefined", "every film has the finding")
    assert inside.status(2, sensitivity, 1, 1) == ("ok", None)
    assert inside.status(2, ppv, 1, 1) == ("undefined", "no film is called positive")
    assert inside.status(3, brier, 1, 1) == ("undefined", "no film with a known answer")
    assert inside.status(1, distance, 2, 1) == ("ok", None)
    assert inside.status(0, distance, 3, 1) == ("too_few", "2 patients with hd95_mm, at least 3 needed")
    assert inside.status(2, distance, 1, 1) == ("undefined", "no film with a known hd95_mm")
