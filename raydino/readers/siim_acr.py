"""SIIM-ACR Pneumothorax Segmentation 2019: films of ChestX-ray14 with outlined pneumothoraces.

Filice et al., Crowdsourcing pneumothorax annotations using machine learning annotations on the NIH chest
X-ray dataset, J Digit Imaging 2020; Kaggle.

    dicom-images-train/<study>/<series>/<image>.dcm   dicom-images-test/…   train-rle.csv      (stage 1)
    stage_2_images/<image>.dcm                        stage_2_train.csv                        (stage 2)

A row of a table is one outline, so a film may have several: ``ImageId, EncodedPixels``, relative run
lengths down the columns of 1024 × 1024 pixels, -1 for no pneumothorax. A film without pneumothorax has
the label "absent" and no mask. Stage 2 trains on the test films of stage 1 and has a test of its own,
without labels. Patients stand in the headers alone, so no validation set is dealt here. Every film is
also one of ChestX-ray14's: don't test there what has seen these.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from raydino.readers.base import Known, MaskMaker
from raydino.readers.cohort import Row, find, require
from raydino.readers.mask_makers import RunsMask
from raydino.readers.masked_cohort import MaskedCohort, read_outlines
from raydino.readers.run_length import RELATIVE_BY_COLUMNS

_SIZE = 1024
_TABLES = ("stage_2_train.csv", "*/stage_2_train.csv", "train-rle.csv", "*/train-rle.csv")
_FOLDERS = ("dicom-images-train", "dicom-images-test", "stage_2_images")
_LISTED = {"stage_2_train.csv": 12_047, "train-rle.csv": 10_675}  # films
_POSITIVE = {"stage_2_train.csv": 2_669}


class SiimAcr(MaskedCohort):
    """Implements ``Reader``. Films are named from their folder on, those that lie nowhere by their id."""

    title = "SIIM-ACR Pneumothorax"
    suffixes = (".dcm",)
    splits = (("train", "train"), ("test", "test"))
    site = "NIH Clinical Center"
    population = "United States"

    @classmethod
    def recognises(cls, source: str) -> bool:
        try:
            top = Path(source)
            return find(top, *_TABLES) is not None and find(top, *_FOLDERS, *(f"*/{f}" for f in _FOLDERS)) is not None
        except (OSError, ValueError):
            return False

    def _read(self) -> pd.DataFrame:
        table = require(self.source, *_TABLES)
        self._outlines = read_outlines(table, "ImageId", "EncodedPixels")
        self.labels = ("Pneumothorax",)
        self._check("listed films", len(self._outlines), _LISTED[table.name])
        if table.name in _POSITIVE:
            self._check("films with pneumothorax", sum(map(bool, self._outlines.values())), _POSITIVE[table.name])
        self._notes.append("all films are also in ChestX-ray14: don't test there what has seen them")
        paths = {name: file for file in self.on_disk if (name := _from_folder_on(file))}
        there = {PurePosixPath(name).stem for name in paths}
        paths |= {f"{film}.dcm": "" for film in self._outlines if film not in there}
        films = pd.DataFrame({"name": list(paths), "path": list(paths.values()), "patient": ""})
        films["film"] = [PurePosixPath(name).stem for name in films["name"]]
        trained = self._outlines if table.name == "stage_2_train.csv" else {}
        films["official"] = [
            "train" if film in trained or name.startswith("dicom-images-train/") else "test"
            for name, film in zip(films["name"], films["film"], strict=True)
        ]
        return films

    def _known(self, row: Row) -> Known:
        return Known()  # patient, view, sex and age stand in the headers

    def _labels(self, row: Row) -> dict[str, float | None]:
        outlines = self._outlines.get(row["film"])
        return {"Pneumothorax": None if outlines is None else float(bool(outlines))}

    def _masks(self, row: Row) -> Mapping[str, Path | MaskMaker]:
        outlines = self._outlines.get(row["film"])
        return {"pneumothorax": RunsMask(outlines, _SIZE, _SIZE, RELATIVE_BY_COLUMNS)} if outlines else {}


def _from_folder_on(file: str) -> str:
    """``dicom-images-train/s/r/x.dcm`` of ``siim/dicom-images-train/s/r/x.dcm``; ``""`` outside these folders."""
    parts = PurePosixPath(file).parts
    at = next((i for i, part in enumerate(parts) if part in _FOLDERS), None)
    return "" if at is None else "/".join(parts[at:])
