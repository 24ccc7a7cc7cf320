"""What the two tuberculosis sets of the U.S. National Library of Medicine have in common.

Jaeger et al., Two public chest X-ray datasets for computer-aided screening of pulmonary diseases,
Quant Imaging Med Surg 2014. Postero-anterior films, one a patient; the last digit of a name says
whether it is normal (0) or shows tuberculosis (1).

    CXR_png/<PREFIX>_0001_0.png   ClinicalReadings/<PREFIX>_0001_0.txt

Neighbours: ``montgomery`` and ``shenzhen``, each with masks of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import pandas as pd

from raydino.readers.base import Known
from raydino.readers.cohort import Row
from raydino.readers.masked_cohort import MaskedCohort

_FOLDER = "CXR_png"
_YEARS = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}
# "Patient's Sex: F" in one set, "female 45yrs", "male 16month" and "femal 32yrs" in the other.
_SEX = re.compile(r"\bsex:\s*([mfo])\b|\b(fe)?male?(?![a-z])", re.IGNORECASE)
_AGE = re.compile(r"(?:\bage:|\bmale?,?|\bfemale?,?)\s*(\d{1,3})\s*([ymwd])", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """A clinical reading: the facts at its head and the text below."""

    sex: str | None
    age_years: float | None
    text: str | None


class TuberculosisSet(MaskedCohort):
    """Implements ``Reader`` but for the masks. Films are named by their files."""

    suffixes = (".png",)
    prefix: ClassVar[str]
    ill: ClassVar[int]  # films with tuberculosis
    masked: ClassVar[int]  # films with masks
    spacing_mm: ClassVar[float | None] = None

    def _read(self) -> pd.DataFrame:
        self.labels = ("No Finding", "Tuberculosis")
        paths = {PurePosixPath(file).name: file for file in self.on_disk if PurePosixPath(file).parent.name == _FOLDER}
        paths = {name: file for name, file in paths.items() if re.fullmatch(rf"{self.prefix}_\d+_[01]\.png", name)}
        self.on_disk = tuple(paths.values())  # the masks are PNG files too
        films = pd.DataFrame({"name": list(paths), "path": list(paths.values()), "official": ""})
        films["film"] = [PurePosixPath(name).stem for name in paths]
        films["patient"] = [film.rsplit("_", 1)[0] for film in films["film"]]
        films["ill"] = [film.endswith("1") for film in films["film"]]
        films["text"] = [self._text(file) for file in films["path"]]
        self._check("films with tuberculosis", int(films["ill"].sum()), self.ill)
        self._check("films with masks", sum(bool(self._masks(row)) for row in films.to_dict("records")), self.masked)
        if silent := int((films["text"] == "").sum()):
            self._notes.append(f"{silent:,} films have no clinical reading")
        return films

    def _known(self, row: Row) -> Known:
        reading = parse_reading(row["text"])
        return Known(view="PA", age_years=reading.age_years, sex=reading.sex, spacing_mm=self.spacing_mm)

    def _report(self, row: Row) -> str | None:
        return parse_reading(row["text"]).text

    def _labels(self, row: Row) -> dict[str, float | None]:
        return {"No Finding": float(not row["ill"]), "Tuberculosis": float(row["ill"])}

    def _text(self, file: str) -> str:
        film = self.source / file
        try:
            path = film.parents[1] / "ClinicalReadings" / f"{film.stem}.txt"
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _beside(self, row: Row) -> Path:
        """The folder that holds CXR_png."""
        return (self.source / row["path"]).parents[1]


def parse_reading(content: str) -> Reading:
    """Sex and age from the first lines, the rest as one line of text."""
    sex: str | None = None
    age: float | None = None
    text: list[str] = []
    for line in content.split("\n"):
        found_sex, found_age = _SEX.search(line), _AGE.search(line)
        if text or not (found_sex or found_age):
            text.append(line)
            continue
        if found_sex:
            sex = found_sex[1].upper() if found_sex[1] else ("F" if found_sex[2] else "M")
        if found_age:
            age = round(int(found_age[1]) * _YEARS[found_age[2].lower()], 2)
    return Reading(sex, age, " ".join(" ".join(text).split()) or None)
