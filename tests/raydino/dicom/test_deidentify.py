"""Pseudonyms and keys. The search for planted identifiers is in test_planted_identifiers."""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from raydino.artifacts.dataset import Dataset
from raydino.cli import run
from raydino.dicom.deidentify import Pseudonyms, new_key, read_key, stated, told_age, write_private
from raydino.errors import UserError


def test_the_institution_is_kept_on_request(write_dicom: Any, tmp_path: Path) -> None:
    write_dicom(tmp_path / "source" / "a", InstitutionName="Wyvernshire Infirmary", PatientName="Quixotewitz^Zebulon")
    arguments = ["ingest", str(tmp_path / "source"), "--out", str(tmp_path / "out"), "--shorter-side", "16"]
    assert run([*arguments, "--retain-institution"]) == 0
    assert set(Dataset.open(tmp_path / "out").demographics["site"]) == {"Wyvernshire Infirmary"}


def test_pseudonyms_are_hmac_sha256_with_a_domain_each() -> None:
    pseudonyms = Pseudonyms(bytes(range(32)))
    expected = hmac.new(bytes(range(32)), b"patient\x00P1", hashlib.sha256).hexdigest()[:16]
    assert pseudonyms.patient("P1") == expected
    assert len({pseudonyms.patient("P1"), pseudonyms.sample("P1"), pseudonyms.study("P1")}) == 3
    assert Pseudonyms(bytes(32)).patient("P1") != expected


def test_sites() -> None:
    pseudonyms = Pseudonyms(bytes(32))
    assert pseudonyms.site("St.  Mary ", retain=True) == "St. Mary"
    hidden = pseudonyms.site("St. Mary", retain=False)
    assert hidden == pseudonyms.site("ST. MARY", retain=False)
    assert hidden.startswith("site-")
    assert len(hidden) == 11
    assert pseudonyms.site("", retain=False) == pseudonyms.site("?", retain=True) == "UNKNOWN"


@pytest.mark.parametrize(("given", "kept"), [(" South  Korea ", "South Korea"), ("?", "UNKNOWN"), ("n/a", "UNKNOWN")])
def test_stated(given: str, kept: str) -> None:
    assert stated(given) == kept


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("population", "USA", "United States"),
        ("population", " south  korea ", "South Korea"),
        ("population", "Hispanic or Latino", "Hispanic or Latino"),
        ("race", "BLACK/AFRICAN AMERICAN", "BLACK/AFRICAN AMERICAN"),
        ("race", "White, non-Hispanic", "White, non-Hispanic"),
        ("race", "?", "UNKNOWN"),
        ("insurance", "Medicare", "Medicare"),
        ("insurance", "", "UNKNOWN"),
    ],
)
def test_known_groups_are_told(kind: str, given: str, told: str) -> None:
    assert Pseudonyms(bytes(32)).group(kind, given) == told


@pytest.mark.parametrize("kind", ["population", "race", "insurance"])
def test_other_words_become_pseudonyms(kind: str) -> None:
    hidden = Pseudonyms(bytes(32)).group(kind, "Zebulon White")
    assert re.fullmatch(rf"{kind}-[0-9a-f]{{6}}", hidden)
    assert hidden == Pseudonyms(bytes(32)).group(kind, "ZEBULON  white")


@pytest.mark.parametrize(
    ("age", "told"), [(None, None), (0.5, 0.5), (89.0, 89.0), (89.9, 90.0), (90.0, 90.0), (101.0, 90.0)]
)
def test_ages_above_89_are_one(age: float | None, told: float | None) -> None:
    assert told_age(age) == told


def test_keys(tmp_path: Path) -> None:
    key = new_key()
    path = tmp_path / "key"
    write_private(path, key.hex() + "\n")
    assert read_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["key"]
    for text in ("", "abc", "zz" * 32, "00" * 8, "é" * 40):
        path.write_text(text)
        with pytest.raises(UserError, match="is not a key"):
            read_key(path)
    with pytest.raises(UserError, match="cannot be written"):
        write_private(tmp_path / "no" / "where", "x")
