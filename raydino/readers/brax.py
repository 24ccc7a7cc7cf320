"""BRAX: Hospital Israelita Albert Einstein, São Paulo. Reis et al., Sci Data 9, 487 (2022); physionet.org/content/brax.

    master_spreadsheet_update.csv (1.0.0: master_spreadsheet.csv)
    Anonymized_DICOMs/id_…/Study_…/Series_…/image-….dcm      images/id_…/Study_…/Series_…/image-….png

The table names both files of a film; the DICOM ones are read where that folder is there, with or without
``.dcm``. Labels are those of CheXpert's labeller on reports in Portuguese: 1, 0, -1 uncertain, empty not mentioned.
Ages are groups of five years: of a range the middle counts, "85 or more" is 85. No official split, no reports.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pandas as pd

from raydino.readers.base import Known
from raydino.readers.cohort import IMAGES, Cohort, Row, read_table, require, require_truths
from raydino.readers.vocabulary import CHEXPERT, label_columns, ordered, settled, truth

_DICOM_FOLDER = "Anonymized_DICOMs"
_FACTS = (
    "",
    "Unnamed: 0",
    "DicomPath",
    "PngPath",
    "PatientID",
    "PatientSex",
    "PatientAge",
    "AccessionNumber",
    "StudyDate",
    "ViewPosition",
    "Rows",
    "Columns",
    "Manufacturer",
)


class Brax(Cohort):
    """Implements ``Reader``. Films are named by their path in ``images/`` without the suffix."""

    title = "BRAX"
    marks = ("master_spreadsheet*.csv",)
    suffixes = (*IMAGES, ".dcm", "")
    published = (("films", 40_967),)
    site = "Hospital Israelita Albert Einstein"
    population = "Brazil"

    def _read(self) -> pd.DataFrame:
        path = require(self.source, "master_spreadsheet_update.csv", "master_spreadsheet.csv")
        needed = ("DicomPath", "PngPath", "PatientID", "PatientSex", "PatientAge", "AccessionNumber", "ViewPosition")
        films = read_table(path, *needed, *CHEXPERT)
        columns, self.left_out = label_columns(films.columns, _FACTS)
        require_truths(films, path, columns)
        self.labels = ordered(columns.values())
        as_dicom = (self.source / _DICOM_FOLDER).is_dir()
        folder = f"{_DICOM_FOLDER}/" if as_dicom else "images/"
        self.on_disk = tuple(file for file in self.on_disk if file.startswith(folder))
        on_disk = {_bare(file): file for file in self.on_disk}
        listed = films["DicomPath" if as_dicom else "PngPath"]
        films["path"] = [on_disk.get(_bare(file), "") for file in listed]
        films["name"] = [_bare(file) for file in films["PngPath"]]
        return films.rename(columns={**columns, "PatientID": "patient"}).assign(official="")

    def _known(self, row: Row) -> Known:
        return Known(
            study_id=row["AccessionNumber"] or None,
            view=row["ViewPosition"] or None,
            age_years=middle_of(row["PatientAge"]),
            sex=row["PatientSex"] or None,
        )

    def _labels(self, row: Row) -> dict[str, float | None]:
        return settled({name: truth(row[name], self.uncertain) for name in self.labels})


def middle_of(group: str) -> float | None:
    """The middle of a range of ages, ``45-49``; a single number as it is; None where there is none."""
    ages = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", group)][:2]
    return sum(ages) / len(ages) if ages else None


def _bare(path: str) -> str:
    suffix = PurePosixPath(path).suffix
    return path.removesuffix(suffix) if suffix.lower() in (*IMAGES, ".dcm") else path
