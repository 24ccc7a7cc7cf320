from __future__ import annotations

from collections import Counter

import pytest

from raydino.dicom.splits import FRACTIONS, split_by_hash, split_patients
from raydino.errors import UserError


def test_proportions() -> None:
    counts = Counter(split_by_hash(f"patient {n}", seed=3) for n in range(20_000))
    for split, fraction in FRACTIONS.items():
        assert counts[split] / 20_000 == pytest.approx(fraction, abs=0.015)
    assert sum(FRACTIONS.values()) == pytest.approx(1.0)


def test_golden_and_seeded() -> None:
    names = [f"P{n}" for n in range(8)]
    assert [split_by_hash(name, 0) for name in names] == [split_by_hash(name, 0) for name in names]
    assert [split_by_hash(name, 0) for name in names] != [split_by_hash(name, 1) for name in names]


def test_an_official_split_holds_for_all_films_of_its_patient() -> None:
    films = [("a", None), ("a", "test"), ("b", "val"), ("b", "val"), ("c", None)]
    assert split_patients(films, 0) == {"a": "test", "b": "val", "c": split_by_hash("c", 0)}


def test_a_torn_patient_is_an_error_that_names_nobody() -> None:
    with pytest.raises(UserError, match="1 patients") as caught:
        split_patients([("Miller", "train"), ("Miller", "test"), ("b", "val")], 0)
    assert "Miller" not in str(caught.value)
