"""CANDID-PTX: films from New Zealand with reports and outlined pneumothoraces, rib fractures and chest tubes.

Feng et al., Curation of the CANDID-PTX dataset with free-text reports, Radiology: AI 2021.

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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from raydino.readers.base import Known, MaskMaker, ReaderOptions, SourceImage
from raydino.readers.film_table import read_csv
from raydino.readers.layout import counted, differences, find, require, require_columns
from raydino.readers.mask_makers import RunsMask
from raydino.readers.run_length import RELATIVE_BY_COLUMNS
from raydino.readers.siim_acr import NONE, read_outlines

_SIZE = 1024
_TABLE = "Pneumothorax_reports.csv"
_FOLDERS = ("dataset", "chest_radiographs")
_FRACTURES = ("acute_rib_fracture.csv", "Rib_fracture_mask_rle.csv")
_TUBES = ("chest_tube.csv",)
_PUBLISHED = {"films listed": 19_237}


@dataclass(frozen=True)
class _Row:
    """What the main table says of a film, from all its rows."""

    patients: tuple[str, ...]
    study: str | None
    report: str | None


class CandidPtx:
    """Implements ``Reader``. Films come in order of their SOP Instance UIDs."""

    labels: tuple[str, ...] = ("Pneumothorax", "Rib Fracture", "Support Devices")
    left_out: Mapping[str, str] = {}

    def __init__(self, source: str, options: ReaderOptions) -> None:
        table = require(source, options, (_TABLE,), "table of CANDID-PTX")
        self._folder = require(source, options, _FOLDERS, "folder of CANDID-PTX's films")
        self._rows = _rows(table)
        self._pneumothoraces = read_outlines(table, "SOPInstanceUID", "EncodedPixels")
        fractures, tubes = find(source, _FRACTURES), find(source, _TUBES)
        self._fractures = read_outlines(fractures, "anon_SOPUID", "mask_rle") if fractures else None
        self._tubes = read_outlines(tubes, "anon_SOPUID", "mask_rle") if tubes else {}
        files = {path.name: path for path in self._folder.iterdir() if path.is_file() and path.name[0] != "."}
        self._files = {name.removesuffix(".dcm"): path for name, path in files.items()}
        self._uids = sorted(self._rows.keys() | self._files.keys())
        self.notes: Sequence[str] = [
            *differences({"films listed": len(self._rows)}, _PUBLISHED),
            *([] if fractures else [f"no table of rib fractures ({' or '.join(_FRACTURES)})"]),
            *([] if tubes else [f"no table of chest tubes ({_TUBES[0]})"]),
            *counted(len(self._rows.keys() - self._files.keys()), "films are listed but lie nowhere"),
            *counted(len(self._files.keys() - self._rows.keys()), "films are in no row of the table"),
        ]

    @classmethod
    def recognises(cls, source: str) -> bool:
        return find(source, (_TABLE,)) is not None and find(source, _FOLDERS) is not None

    def total(self) -> int | None:
        return len(self._uids)

    def images(self) -> Iterator[SourceImage]:
        for uid in self._uids:
            row = self._rows.get(uid, _Row((), None, None))
            yield SourceImage(
                uid,
                path=self._files.get(uid, self._folder / Path(uid).name),
                known=Known(
                    patient_id=row.patients[0] if len(row.patients) == 1 else None,
                    study_id=row.study,
                    population="New Zealand",
                ),
                labels=self._labels_of(uid),
                report=row.report,
                masks=self._masks_of(uid),
                known_corrupt="the data set's table gives it to two patients" if len(row.patients) > 1 else None,
            )

    def _labels_of(self, uid: str) -> dict[str, float | None]:
        searched = self._fractures is not None and uid in self._rows
        return {
            "Pneumothorax": float(bool(self._pneumothoraces[uid])) if uid in self._pneumothoraces else None,
            "Rib Fracture": float(bool((self._fractures or {}).get(uid))) if searched else None,
            "Support Devices": 1.0 if self._tubes.get(uid) else None,
        }

    def _masks_of(self, uid: str) -> dict[str, Path | MaskMaker]:
        tables = {"pneumothorax": self._pneumothoraces, "rib_fracture": self._fractures, "chest_tube": self._tubes}
        return {
            structure: RunsMask(outlines, _SIZE, _SIZE, RELATIVE_BY_COLUMNS)
            for structure, table in tables.items()
            if (outlines := (table or {}).get(uid))
        }


def _rows(path: Path) -> dict[str, _Row]:
    frame = read_csv(path)
    require_columns(frame, path, ("SOPInstanceUID", "EncodedPixels"))
    absent = pd.Series("", frame.index)
    columns = [frame.get(name, absent) for name in ("filename", "StudyInstanceUID", "Report")]
    rows: dict[str, _Row] = {}
    for uid, file, study, report in zip(frame["SOPInstanceUID"], *columns, strict=True):
        before = rows.get(uid, _Row((), None, None))
        patient = file.split("_")[0]
        patients = {*before.patients, patient} - {""}
        rows[uid] = _Row(tuple(sorted(patients)), before.study or study or None, before.report or _text(report))
    return rows


def _text(report: str) -> str | None:
    return report if report not in ("", NONE) else None
