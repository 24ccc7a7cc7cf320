"""What the two tuberculosis sets of the U.S. National Library of Medicine have in common.

Jaeger et al., Two public chest X-ray datasets for computer-aided screening of pulmonary diseases,
Quant Imaging Med Surg 2014. Postero-anterior films, one a patient; the last digit of a name says
whether it is normal (0) or shows tuberculosis (1).

    CXR_png/<PREFIX>_0001_0.png   ClinicalReadings/<PREFIX>_0001_0.txt

Neighbours: ``montgomery`` and ``shenzhen``, each with masks of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from raydino.errors import UserError
from raydino.readers.base import Known, MaskMaker, ReaderOptions, SourceImage
from raydino.readers.layout import counted, differences, places, require

_FILMS = "CXR_png"
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


class TuberculosisSet:
    """Implements ``Reader`` but for the masks. Films come in order of their names."""

    labels: tuple[str, ...] = ("No Finding", "Tuberculosis")
    left_out: Mapping[str, str] = {}
    prefix: ClassVar[str]
    published: ClassVar[Mapping[str, int]]  # normal films, films with tuberculosis, masks
    known: ClassVar[Known]  # of every film

    def __init__(self, source: str, options: ReaderOptions) -> None:
        require(source, options, (_FILMS,), f"folder of {self.prefix} films")
        folder = _films_folder(source, self.prefix)
        if folder is None:
            raise UserError(f"holds no {self.prefix}_*.png", where=source, remedy=f"they lie in {_FILMS}/")
        self.root = folder.parent
        self._names = sorted(path.name for path in folder.glob(f"{self.prefix}_*_[01].png"))
        stems = [Path(name).stem for name in self._names]
        self._read = {path.stem: path for path in (self.root / "ClinicalReadings").glob("*.txt")}
        counts = {
            "normal films": sum(stem.endswith("0") for stem in stems),
            "films with tuberculosis": sum(stem.endswith("1") for stem in stems),
            "masks": sum(bool(self.masks(stem)) for stem in stems),
        }
        self.notes: Sequence[str] = [
            *differences(counts, self.published),
            *counted(sum(stem not in self._read for stem in stems), "films have no clinical reading"),
        ]

    @classmethod
    def recognises(cls, source: str) -> bool:
        return _films_folder(source, cls.prefix) is not None

    def total(self) -> int | None:
        return len(self._names)

    def images(self) -> Iterator[SourceImage]:
        for name in self._names:
            stem = Path(name).stem
            reading = parse_reading(self._text(stem))
            ill = stem.endswith("1")
            yield SourceImage(
                f"{_FILMS}/{name}",
                path=self.root / _FILMS / name,
                is_dicom=False,
                known=replace(
                    self.known,
                    patient_id=stem.rsplit("_", 1)[0],
                    view="PA",
                    age_years=reading.age_years,
                    sex=reading.sex,
                ),
                labels={"No Finding": float(not ill), "Tuberculosis": float(ill)},
                report=reading.text,
                masks=self.masks(stem),
            )

    def masks(self, stem: str) -> Mapping[str, Path | MaskMaker]:
        """The masks of a film by structure."""
        raise NotImplementedError

    def _text(self, stem: str) -> str:
        try:
            return self._read[stem].read_text(encoding="utf-8", errors="replace")
        except (KeyError, OSError):
            return ""


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


def _films_folder(source: str, prefix: str) -> Path | None:
    for place in places(source):
        folder = place / _FILMS
        try:
            if next(folder.glob(f"{prefix}_*.png"), None) is not None:
                return folder
        except OSError:
            continue
    return None
