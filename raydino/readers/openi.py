"""OpenI's chest films of Indiana University (IU X-ray). Demner-Fushman et al., JAMIA 23, 304 (2016); openi.nlm.nih.gov.

    ecgen-radiology/1.xml … 3999.xml (NLMCXR_reports.tgz, also in NLMCXR_reports/)
    CXR1_1_IM-0001-3001.png anywhere (NLMCXR_png.tgz), or 1/1_IM-0001-3001.dcm anywhere (NLMCXR_dcm.tgz)
    indiana_projections.csv (of the Kaggle copy, 1_IM-0001-3001.dcm.png), where it is at hand: filename, projection

A report names its films; where both files of a film are there, the DICOM one is read. The report is FINDINGS and
IMPRESSION. Labels are the MeSH terms by which two coders described each report: what they didn't name is absent,
but unknown where they found the technical quality unsatisfactory or left the report uncoded ("No Indexing"). No
patient is named, so each report counts as one of its own; no age, sex or official split.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known
from raydino.readers.cohort import IMAGES, Cohort, Row, find, read_table
from raydino.readers.vocabulary import canonical, listed, ordered, with_wider

_FOLDERS = ("ecgen-radiology", "NLMCXR_reports/ecgen-radiology")
_SECTIONS = ("FINDINGS", "IMPRESSION")
_INCOMPLETE = ("technical quality of image unsatisfactory", "no indexing")
# (heading, qualifier) → finding, where the heading alone is none
_QUALIFIED = {
    ("opacity", "lung"): "Lung Opacity",
    ("thickening", "pleura"): "Pleural Thickening",
    ("costophrenic angle", "blunted"): "Costophrenic Angle Blunting",
    ("diaphragm", "elevated"): "Elevated Hemidiaphragm",
    ("diaphragm", "flattened"): "Flattened Diaphragm",
    ("fractures, bone", "ribs"): "Rib Fracture",
    ("fractures, bone", "clavicle"): "Clavicle Fracture",
    ("fractures, bone", "thoracic vertebrae"): "Vertebral Fracture",
}


@dataclass(frozen=True)
class Examination:
    """One report: ``CXR1``, the ids of its films, its text and its MeSH terms (``Opacity/lung/base/left``)."""

    study: str
    films: tuple[str, ...]
    text: str | None
    terms: tuple[str, ...]


class OpenI(Cohort):
    """Implements ``Reader``. Films are named by their id, ``1_IM-0001-3001``."""

    title = "OpenI"
    marks = ("ecgen-radiology",)
    suffixes = (*IMAGES, ".dcm")
    published = (("films", 7_470),)
    population = "United States"

    @classmethod
    def recognises(cls, source: str) -> bool:
        try:
            return any(any((Path(source) / folder).glob("*.xml")) for folder in _FOLDERS)
        except (OSError, ValueError):
            return False

    def _read(self) -> pd.DataFrame:
        paths = sorted(path for folder in _FOLDERS for path in (self.source / folder).glob("*.xml"))
        if not paths:
            raise UserError("lacks ecgen-radiology/", where=self.source, remedy="unpack NLMCXR_reports.tgz there")
        studies = [read_examination(path) for path in paths]
        self._studies = {study.study: study for study in studies}
        terms = [term for study in studies for term in study.terms]
        self.labels = ordered(with_wider({name for term in terms if (name := finding_of(term))}))
        others = Counter(term.split("/")[0].strip() for term in terms if finding_of(term) is None)
        self.left_out = {term: f"no finding of the vocabulary ({n:,} times)" for term, n in sorted(others.items())}
        if without := sum(not study.films for study in studies):
            self._notes.append(f"{without:,} reports are without films")
        dicom_last = sorted(self.on_disk, key=lambda file: (file.lower().endswith(".dcm"), file))
        on_disk = {film_id(PurePosixPath(file).name): file for file in dicom_last}
        rows = [
            {"name": film_id(film), "path": on_disk.get(film_id(film), ""), "patient": study.study, "official": ""}
            for study in studies
            for film in study.films
        ]
        self._laterals = self._projections()
        return pd.DataFrame(rows, columns=["name", "path", "patient", "official"])

    def _projections(self) -> set[str]:
        path = find(self.source, "indiana_projections.csv")
        if path is None:
            self._notes.append("indiana_projections.csv is not there: views come from DICOM headers or are unknown")
            return set()
        frame = read_table(path, "filename", "projection")
        return {film_id(name) for name in frame.loc[frame["projection"] == "Lateral", "filename"]}

    def _known(self, row: Row) -> Known:
        return Known(study_id=row["patient"], view="LATERAL" if row["name"] in self._laterals else None)

    def _labels(self, row: Row) -> dict[str, float | None]:
        terms = self._studies[row["patient"]].terms
        said = {_heading(term) for term in terms}
        complete = bool(terms) and said.isdisjoint(_INCOMPLETE)
        return listed(filter(None, map(finding_of, terms)), self.labels, complete=complete)

    def _report(self, row: Row) -> str | None:
        return self._studies[row["patient"]].text


def read_examination(path: Path) -> Examination:
    """One XML file. Raises UserError."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError):
        raise UserError("is not an XML file that can be read", where=path) from None
    study = root.find("uId")
    if study is None or not study.get("id"):
        raise UserError("lacks an element uId with an id", where=path, remedy="one of OpenI's reports is wanted")
    texts = {text.get("Label"): " ".join((text.text or "").split()) for text in root.iter("AbstractText")}
    return Examination(
        study=study.get("id", ""),
        films=tuple(film.get("id", "") for film in root.iter("parentImage") if film.get("id")),
        text="\n\n".join(texts[label] for label in _SECTIONS if texts.get(label)) or None,
        terms=tuple(" ".join((term.text or "").split()) for term in root.iterfind("MeSH/major") if term.text),
    )


def finding_of(term: str) -> str | None:
    """The finding that a MeSH term with its qualifiers means."""
    heading, *qualifiers = (part.strip().lower() for part in term.split("/"))
    for qualifier in qualifiers:
        if finding := _QUALIFIED.get((heading, qualifier)):
            return finding
    return canonical(heading)


def film_id(name: str) -> str:
    """``1_IM-0001-3001`` of the ids CXR1_1_IM-0001-3001 and CXR1_IM-0001-3001 and of the files named after them."""
    bare = re.sub(r"(\.dcm|\.png|\.jpe?g)+$", "", name, flags=re.IGNORECASE)
    return re.sub(r"^CXR(\d+)_(?:\1_)?", r"\1_", bare)


def _heading(term: str) -> str:
    return term.split("/")[0].strip().lower()
