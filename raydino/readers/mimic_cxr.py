"""MIMIC-CXR (DICOM) and MIMIC-CXR-JPG: the emergency department of one hospital in Boston, 2011–2016.

Johnson et al., Sci Data 6, 317 (2019); arXiv 1901.07042; physionet.org/content/mimic-cxr(-jpg), 2.0.0, 2.1.0.

    files/p10/p10000032/s50414267/<dicom_id>.jpg or .dcm      files/p10/p10000032/s50414267.txt (reports)
    MIMIC-CXR-JPG: mimic-cxr-2.0.0-{metadata,split,chexpert}.csv.gz, mimic-cxr-2.1.0-test-set-labeled.csv
    MIMIC-CXR: cxr-record-list.csv.gz, mimic-cxr-reports.zip

Splits and labels of the DICOM files are MIMIC-CXR-JPG's tables, copied beside them or in mimic-cxr-jpg*/.
Demographics come from MIMIC-IV (``mimic_iv``), reports from MIMIC-CXR (``mimic_reports``); both are looked
for here and in the folders around. In 2.1.0 the test studies that a radiologist labelled have those labels
instead of CheXpert's. The JPEG files are histogram-equalised by the publisher, the DICOM files are not.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from raydino.readers.base import Known
from raydino.readers.cohort import Cohort, Row, find, read_table, require, require_truths
from raydino.readers.mimic_iv import MimicIv
from raydino.readers.mimic_reports import MimicReports
from raydino.readers.vocabulary import label_columns, ordered, settled, truth

_VIEW = ("ViewPosition", "ViewCodeSequence_CodeMeaning")


class _MimicCxr(Cohort):
    """Both data sets; they differ in the table that lists the films."""

    published = (("films", 377_110), ("train films", 368_960), ("validate films", 2_991), ("test films", 5_159))
    splits = (("train", "train"), ("validate", "val"), ("test", "test"))
    site = "Beth Israel Deaconess Medical Center"
    population = "United States"

    def _read(self) -> pd.DataFrame:
        films = self._films()
        split = self._table("split", "dicom_id", "split")
        films = films.merge(split[["dicom_id", "split"]], on="dicom_id", how="left")
        films["official"] = films["split"].fillna("")
        if unknown := int((films["official"] == "").sum()):
            self._notes.append(f"{unknown:,} films have no official split")
        ids = films["subject_id"], films["study_id"], films["dicom_id"]
        films["name"] = [f"{folder_of(p, s)}/{d}{self.suffixes[0]}" for p, s, d in zip(*ids, strict=True)]
        on_disk = set(self.on_disk)
        films["path"] = [name if name in on_disk else "" for name in films["name"]]
        films["patient"] = films["subject_id"]
        self._studies = self._read_labels()
        self._iv = MimicIv.find(self.source, set(films["patient"]))
        self._reports = MimicReports(self.source)
        if self._iv is None:
            self._notes.append("MIMIC-IV's patients table is not beside it: age, sex and race are unknown")
        return films

    def _films(self) -> pd.DataFrame:
        raise NotImplementedError

    def _table(self, what: str, *columns: str) -> pd.DataFrame:
        return read_table(self._path(f"mimic-cxr-2*-{what}.csv*"), *columns)

    def _path(self, pattern: str) -> Path:
        why = "it comes with MIMIC-CXR-JPG: copy it here, or pass --reader dicom to go without labels and split"
        return require(self.source, pattern, around=_jpg_tables(pattern), why=why)

    def _read_labels(self) -> dict[str, tuple[float | None, ...]]:
        """The values of ``labels`` by study."""
        path = self._path("mimic-cxr-2*-chexpert.csv*")
        columns, frame = self._label_table(path)
        self.labels = ordered(columns.values())
        studies = self._values(columns, frame)
        pattern = "mimic-cxr-2*-test-set-labeled.csv*"
        if (path_by_hand := find(self.source, pattern, around=_jpg_tables(pattern))) is not None:
            by_hand = self._values(*self._label_table(path_by_hand))
            studies.update(by_hand)
            self._notes.append(f"{len(by_hand):,} test studies have the labels of a radiologist")
        return studies

    def _label_table(self, path: Path) -> tuple[dict[str, str], pd.DataFrame]:
        frame = read_table(path, "study_id", "No Finding", "Cardiomegaly")
        columns, left_out = label_columns(frame.columns, ("subject_id", "study_id"))
        self.left_out.update(left_out)
        require_truths(frame, path, columns)
        return columns, frame

    def _values(self, columns: dict[str, str], frame: pd.DataFrame) -> dict[str, tuple[float | None, ...]]:
        column_of = {name: column for column, name in columns.items()}
        unknown: list[float | None] = [None] * len(frame)
        cells = [
            [truth(cell, self.uncertain) for cell in frame[column_of[name]]] if name in column_of else unknown
            for name in self.labels
        ]
        return dict(zip(frame["study_id"], zip(*cells, strict=True), strict=True))

    def _known(self, row: Row) -> Known:
        view = next((str(row[column]) for column in _VIEW if row.get(column)), None)
        person = self._iv.of(row["patient"], row.get("StudyDate") or "") if self._iv else Known()
        return Known(
            study_id=row["study_id"],
            view=None if view and {"LLD", "RLD"} & set(view.split()) else view,  # decubitus films
            age_years=person.age_years,
            sex=person.sex,
            race=person.race,
            insurance=person.insurance,
        )

    def _labels(self, row: Row) -> dict[str, float | None]:
        values = self._studies.get(row["study_id"])
        return settled(dict(zip(self.labels, values, strict=True))) if values else dict.fromkeys(self.labels)

    def _report(self, row: Row) -> str | None:
        return self._reports.of(folder_of(row["subject_id"], row["study_id"]))


class MimicCxrJpg(_MimicCxr):
    """Implements ``Reader``. Films come in order of patient, study and file."""

    title = "MIMIC-CXR-JPG"
    marks = ("mimic-cxr-2*-metadata.csv*", "files")
    suffixes = (".jpg",)

    def _films(self) -> pd.DataFrame:
        return self._table("metadata", "dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate")


class MimicCxr(_MimicCxr):
    """Implements ``Reader``. View and study date come from MIMIC-CXR-JPG's metadata where they are at hand."""

    title = "MIMIC-CXR"
    marks = ("cxr-record-list.csv*", "files")
    suffixes = (".dcm",)

    def _films(self) -> pd.DataFrame:
        films = read_table(require(self.source, "cxr-record-list.csv*"), "subject_id", "study_id", "dicom_id")
        pattern = "mimic-cxr-2*-metadata.csv*"
        if (path := find(self.source, pattern, around=_jpg_tables(pattern))) is not None:
            facts = read_table(path, "dicom_id", "ViewPosition", "StudyDate")
            facts = facts.drop(columns=["subject_id", "study_id"], errors="ignore")
            films = films.merge(facts, on="dicom_id", how="left").fillna("")
        return films


def folder_of(subject: str, study: str) -> str:
    """Where the films of a study lie, and its report with ``.txt``."""
    return f"files/p{subject[:2]}/p{subject}/s{study}"


def _jpg_tables(pattern: str) -> tuple[str, ...]:
    return f"mimic-cxr-jpg*/{pattern}", f"mimic-cxr-jpg*/*/{pattern}"
