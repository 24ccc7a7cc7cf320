"""Age, sex, race and insurance of MIMIC-CXR's patients, from MIMIC-IV's ``patients`` and ``admissions``.

Johnson et al., Sci Data 10, 1 (2023). Dates of both are shifted by the same interval for one patient, so
the age at a film is anchor_age + (year of the film - anchor_year). anchor_age is 91 for everyone older
than 89: ages above 89 are all given as 90. Race is what most admissions of the patient say (``race``, or
``ethnicity`` before version 2), insurance that of the last admission before the film, else of the first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from raydino.readers.base import Known
from raydino.readers.cohort import find, read_table

TOP_AGE_YEARS = 90
_SILENT = ("", "UNKNOWN", "UNABLE TO OBTAIN", "PATIENT DECLINED TO ANSWER", "?")


class _Stay(NamedTuple):
    day: str  # YYYYMMDD
    insurance: str


class MimicIv:
    """Facts by patient. ``admissions`` may be missing: then race and insurance are unknown."""

    def __init__(self, patients: Path, admissions: Path | None, wanted: set[str]) -> None:
        frame = read_table(patients, "subject_id", "gender", "anchor_age", "anchor_year")
        frame = frame[frame["subject_id"].isin(wanted)]
        columns = (frame[name] for name in ("subject_id", "gender", "anchor_age", "anchor_year"))
        self._anchors = {who: (sex, age, year) for who, sex, age, year in zip(*columns, strict=True)}
        self._races: dict[str, str] = {}
        self._stays: dict[str, list[_Stay]] = {}
        if admissions is not None:
            self._read_admissions(admissions, wanted)

    @classmethod
    def find(cls, source: Path, wanted: set[str]) -> MimicIv | None:
        """The tables in ``source``, in hosp/, or in a folder mimic*iv* beside or above; None without patients."""
        patients, admissions = (
            find(
                source,
                f"{name}.csv*",
                f"hosp/{name}.csv*",
                around=(f"mimic*iv*/hosp/{name}.csv*", f"mimic*iv*/*/hosp/{name}.csv*"),
            )
            for name in ("patients", "admissions")
        )
        return cls(patients, admissions, wanted) if patients else None

    def of(self, patient: str, study_date: str) -> Known:
        """At the date of a film, ``YYYYMMDD`` or empty."""
        sex, anchor_age, anchor_year = self._anchors.get(patient, ("", "", ""))
        age = None
        if study_date[:4].isdigit() and anchor_age.isdigit() and anchor_year.isdigit():
            age = min(float(int(anchor_age) + int(study_date[:4]) - int(anchor_year)), float(TOP_AGE_YEARS))
        stays = self._stays.get(patient, [])
        before = bisect_right(stays, study_date, key=lambda stay: stay.day) if study_date else 0
        return Known(
            age_years=age if age is not None and age >= 0 else None,
            sex=sex or None,
            race=self._races.get(patient),
            insurance=(stays[max(before - 1, 0)].insurance or None) if stays else None,
        )

    def _read_admissions(self, path: Path, wanted: set[str]) -> None:
        frame = read_table(path, "subject_id", "admittime", "insurance")
        race = "race" if "race" in frame.columns else "ethnicity"
        if race not in frame.columns:
            frame[race] = ""
        frame = frame[frame["subject_id"].isin(wanted)].sort_values("admittime")
        said: dict[str, Counter[str]] = {}
        columns = (frame[name] for name in ("subject_id", "admittime", "insurance", race))
        for who, when, insurance, named in zip(*columns, strict=True):
            self._stays.setdefault(who, []).append(_Stay(when[:10].replace("-", ""), insurance))
            if named.upper() not in _SILENT:
                said.setdefault(who, Counter())[named] += 1
        self._races = {who: max(sorted(names), key=names.__getitem__) for who, names in said.items()}
