"""RSNA Pneumonia Detection Challenge 2018: films of ChestX-ray14, read again by radiologists.

Shih et al., Radiol Artif Intell 1(1), e180041 (2019); Kaggle, stage 2.

    stage_2_train_labels.csv      patientId, x, y, width, height, Target; a row a box
    stage_2_detailed_class_info.csv      patientId, class
    stage_2_train_images/<patientId>.dcm      stage_2_test_images/<patientId>.dcm (without labels)
    pneumonia-challenge-dataset-mappings_2018.json (of the RSNA), where it is at hand: subset_img_id, img_id

``patientId`` names a film; only the mapping tells which films are of one patient, namely the NIH's, and a patient
with a film in test is then in test with all. Class "Lung Opacity" is pneumonia, "Normal" no finding, and "No Lung
Opacity / Not Normal" neither. Validation is a tenth of train, by a hash. Every film is also one of
ChestX-ray14's, some of its test set: don't test there what has seen these. Boxes are not masks and not read.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known
from raydino.readers.cohort import TRAIN_OR_VAL, Cohort, Row, find, read_table, require

_MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
_CLASSES: dict[str, tuple[float, float, float]] = {  # as in ``labels``
    "Lung Opacity": (0.0, 1.0, 1.0),
    "Normal": (1.0, 0.0, 0.0),
    "No Lung Opacity / Not Normal": (0.0, 0.0, 0.0),
}


class RsnaPneumonia(Cohort):
    """Implements ``Reader``. Films are named ``train/<patientId>`` and ``test/<patientId>``."""

    title = "RSNA Pneumonia"
    marks = ("stage_2_train_labels.csv", "stage_2_*_images")
    suffixes = (".dcm",)
    published = (("train films", 26_684),)
    splits = (("train", TRAIN_OR_VAL), ("test", "test"))
    site = "NIH Clinical Center"
    population = "United States"

    def _read(self) -> pd.DataFrame:
        path = require(self.source, "stage_2_train_labels.csv")
        boxes = read_table(path, "patientId", "Target")
        if not boxes["Target"].isin(["0", "1"]).all():
            raise UserError("column 'Target' holds a cell that is neither 1 nor 0", where=path)
        self.labels = ("No Finding", "Lung Opacity", "Pneumonia")
        self._targets = boxes.groupby("patientId")["Target"].max().to_dict()
        self._classes = self._detailed_classes()
        on_disk = {_name(file): file for file in self.on_disk if file.startswith("stage_2_")}
        listed = {f"train/{film}" for film in self._targets}
        names = sorted({*listed, *(name for name in on_disk if name.startswith("test/"))})
        films = pd.DataFrame({"name": names, "path": [on_disk.get(name, "") for name in names]})
        films["film"] = films["name"].str.split("/").str[1]
        films["official"] = films["name"].str.split("/").str[0]
        nih = self._nih_patients()
        films["patient"] = [nih.get(film, "") for film in films["film"]]
        tested = set(films.loc[films["official"] == "test", "patient"]) - {""}
        moved = films["patient"].isin(tested) & (films["official"] == "train")
        films["in_test"] = moved | (films["official"] == "test")
        if moved.any():
            self._notes.append(f"{int(moved.sum()):,} train films are of patients in test and count as test")
        self._notes.append("all films are also in ChestX-ray14: don't test there what has seen them")
        return films

    def _detailed_classes(self) -> dict[str, str]:
        path = find(self.source, "stage_2_detailed_class_info.csv")
        if path is None:
            self._notes.append("stage_2_detailed_class_info.csv is not there: No Finding is unknown")
            return {}
        frame = read_table(path, "patientId", "class")
        if unknown := sorted(set(frame["class"]) - _CLASSES.keys()):
            raise UserError(f"{len(unknown)} classes are not known", where=path, remedy=f"known: {', '.join(_CLASSES)}")
        return dict(zip(frame["patientId"], frame["class"], strict=True))

    def _nih_patients(self) -> dict[str, str]:
        path = find(self.source, _MAPPING)
        if path is None:
            self._notes.append(f"{_MAPPING} is not there: each film counts as a patient of its own")
            return {}
        return _read_mapping(path)

    def _split(self, row: Row) -> str | None:
        return "test" if row["in_test"] else super()._split(row)

    def _known(self, row: Row) -> Known:
        return Known()  # view, sex and age stand in the headers

    def _labels(self, row: Row) -> dict[str, float | None]:
        film = row["film"]
        if row["official"] == "test" or film not in self._targets:
            return dict.fromkeys(self.labels)
        if film in self._classes:
            return dict(zip(self.labels, _CLASSES[self._classes[film]], strict=True))
        target = float(self._targets[film])
        return {"No Finding": 0.0 if target else None, "Lung Opacity": target, "Pneumonia": target}


def _name(file: str) -> str:
    """``train/x`` of ``stage_2_train_images/x.dcm``."""
    path = PurePosixPath(file)
    return f"{path.parts[0].removeprefix('stage_2_').removesuffix('_images')}/{path.stem}"


def _read_mapping(path: Path) -> dict[str, str]:
    """The NIH's patient by film: ``00000013_005.png`` is of patient 00000013."""
    try:
        films = json.loads(path.read_text(encoding="utf-8"))
        return {film["subset_img_id"]: film["img_id"].split("_")[0] for film in films}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError("is not a list of objects with subset_img_id and img_id", where=path) from None
