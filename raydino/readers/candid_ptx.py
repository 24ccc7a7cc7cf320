"""CANDID-PTX: films from New Zealand with reports and outlined pneumothoraces, rib fractures and chest tubes.

Feng et al., Curation of the CANDID-PTX dataset with free-text reports, Radiology: AI 3(6), e210136 (2021).

    dataset/<SOP Instance UID>        DICOM, without suffix; 1024 × 1024 pixels
    Pneumothorax_reports.csv          SOPInstanceUID, EncodedPixels, Report, StudyInstanceUID, filename (P<patient>_…)
    acute_rib_fracture.csv            anon_SOPUID, mask_rle; also called Rib_fracture_mask_rle.csv
    chest_tube.csv                    anon_SOPUID, mask_rle

Run lengths as in SIIM-ACR, a row an outline, -1 for none. All films were searched for acute rib
fractures, so one that is not listed has none. A chest tube is a support device; a film without one may
show others, so it says nothing. The release has no official split. A film that the table gives to two
patients is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from raydino.readers.base import Known, MaskMaker, SourceImage
from raydino.readers.cohort import Row, find, read_table, require
from raydino.readers.mask_makers import RunsMask
from raydino.readers.masked_cohort import NONE, MaskedCohort, read_outlines
from raydino.readers.run_length import RELATIVE_BY_COLUMNS

_SIZE = 1024
_TABLE = "Pneumothorax_reports.csv"
_FOLDERS = ("dataset", "chest_radiographs")
_FRACTURES = ("acute_rib_fracture.csv", "Rib_fracture_mask_rle.csv")
_TUBES = "chest_tube.csv"
Outlines = Mapping[str, tuple[str, ...]]


class CandidPtx(MaskedCohort):
    """Implements ``Reader``. Films are named by their SOP Instance UIDs."""

    title = "CANDID-PTX"
    marks = (_TABLE,)
    suffixes = ()  # the files have none, so ``_read`` looks for them
    published = (("films", 19_237),)
    population = "New Zealand"

    def _read(self) -> pd.DataFrame:
        table = require(self.source, _TABLE)
        folder = require(self.source, *_FOLDERS)
        self.labels = ("Pneumothorax", "Rib Fracture", "Support Devices")
        fractures = self._outlines(*_FRACTURES)
        self._fractures_known = fractures is not None
        self._tables: dict[str, Outlines] = {
            "pneumothorax": read_outlines(table, "SOPInstanceUID", "EncodedPixels"),
            "rib_fracture": fractures or {},
            "chest_tube": self._outlines(_TUBES) or {},
        }
        films = _films(table)
        files = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        on_disk = {name.removesuffix(".dcm"): f"{folder.name}/{name}" for name in files}
        films["path"] = [on_disk.get(uid, "") for uid in films["name"]]
        if unlisted := sorted(on_disk.keys() - set(films["name"])):
            self._notes.append(f"{len(unlisted):,} films are in no row of the table")
            more = pd.DataFrame({"name": unlisted, "path": [on_disk[uid] for uid in unlisted]})
            films = pd.concat([films, more.reindex(columns=films.columns, fill_value="")], ignore_index=True)
        return films

    def _outlines(self, *names: str) -> dict[str, tuple[str, ...]] | None:
        path = find(self.source, *names)
        if path is None:
            self._notes.append(f"{names[0]} is not there")
            return None
        return read_outlines(path, "anon_SOPUID", "mask_rle")

    def _image(self, row: Row) -> SourceImage:
        image = super()._image(row)
        return replace(image, known_corrupt="the table gives it to two patients") if row["patients"] == 2 else image

    def _known(self, row: Row) -> Known:
        return Known(study_id=row["study"] or None)

    def _report(self, row: Row) -> str | None:
        return row["report"] or None

    def _labels(self, row: Row) -> dict[str, float | None]:
        uid = row["name"]
        pneumothorax, fracture, tube = (table.get(uid) for table in self._tables.values())
        listed = pneumothorax is not None
        return {
            "Pneumothorax": float(bool(pneumothorax)) if listed else None,
            "Rib Fracture": float(bool(fracture)) if listed and self._fractures_known else None,
            "Support Devices": 1.0 if tube else None,
        }

    def _masks(self, row: Row) -> Mapping[str, Path | MaskMaker]:
        return {
            structure: RunsMask(outlines, _SIZE, _SIZE, RELATIVE_BY_COLUMNS)
            for structure, table in self._tables.items()
            if (outlines := table.get(row["name"]))
        }


def _films(path: Path) -> pd.DataFrame:
    """A row a film: its patient (``""`` where the rows name several, counted in ``patients``), study and report."""
    rows = read_table(path, "SOPInstanceUID", "EncodedPixels")
    rows = rows.reindex(columns=["SOPInstanceUID", "filename", "StudyInstanceUID", "Report"], fill_value="")
    rows.columns = pd.Index(["name", "patient", "study", "report"])
    rows["patient"] = rows["patient"].str.split("_").str[0]
    rows["report"] = rows["report"].replace(NONE, "")
    rows["patients"] = rows.groupby("name")["patient"].transform("nunique").clip(upper=2)
    rows.loc[rows["patients"] == 2, "patient"] = ""
    rows["official"] = ""
    return rows.groupby("name", as_index=False).first()
