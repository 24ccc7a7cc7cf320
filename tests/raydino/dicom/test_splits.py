from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

import pytest

from raydino.dicom.splits import FRACTIONS, split_by_hash, split_patients
from raydino.errors import UserError


def split(films: Sequence[tuple[str | None, str | None]], seed: int) -> dict[str, str]:
    """Split films of (patient, official split), None for a rejected one."""
    sql = sqlite3.connect(":memory:")
    sql.execute("CREATE TABLE verdicts (patient, official_split, split)")
    sql.executemany("INSERT INTO verdicts (patient, official_split) VALUES (?, ?)", films)
    split_patients(sql, seed)
    found = sql.execute("SELECT DISTINCT patient, split FROM verdicts WHERE split IS NOT NULL").fetchall()
    assert len(dict(found)) == len(found)
    return dict(found)


def test_proportions() -> None:
    counts = Counter(split_by_hash(f"patient {n}", seed=3) for n in range(20_000))
    for name, fraction in FRACTIONS.items():
        assert counts[name] / 20_000 == pytest.approx(fraction, abs=0.015)
    assert sum(FRACTIONS.values()) == pytest.approx(1.0)


def test_golden_and_seeded() -> None:
    names = [f"P{n}" for n in range(8)]
    assert [split_by_hash(name, 0) for name in names] == [split_by_hash(name, 0) for name in names]
    assert [split_by_hash(name, 0) for name in names] != [split_by_hash(name, 1) for name in names]


def test_an_official_split_holds_for_all_films_of_its_patient() -> None:
    films = [("a", None), ("a", "test"), ("b", "val"), ("b", "val"), ("c", None), (None, "train")]
    assert split(films, 0) == {"a": "test", "b": "val", "c": split_by_hash("c", 0)}
    assert split([("c", None)], 7) == {"c": split_by_hash("c", 7)}


def test_a_torn_patient_is_an_error_that_names_nobody() -> None:
    films = [("Miller", "train"), ("Miller", "test"), ("b", "val"), (None, "train"), (None, "test")]
    with pytest.raises(UserError, match="1 patients") as caught:
        split(films, 0)
    assert "Miller" not in str(caught.value)
