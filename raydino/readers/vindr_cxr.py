"""VinDr-CXR: two hospitals in Hanoi, 2018–2020. Nguyen et al., Sci Data 9, 429 (2022), arXiv 2012.15029.

    annotations/image_labels_{train,test}.csv      train/<image_id>.dicom      test/<image_id>.dicom

Columns: image_id, in train also rad_ID, and 28 findings of 1 and 0. Three radiologists read each film of train,
so it has three rows, and a finding is present where more than half of them say so; test holds the consensus of five.
No patient is named: each film counts as one of its own. The headers keep sex and age of some films and say
neither modality nor body part (vinbigdata-medical/vindr-cxr, de-identification/tags.csv). Validation is a tenth
of train, by a hash. Boxes (annotations_*.csv) are not read.
"""

from __future__ import annotations

import math

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known
from raydino.readers.cohort import TRAIN_OR_VAL, Cohort, Row, find, read_table, require_truths
from raydino.readers.vocabulary import label_columns, ordered

_FACTS = ("image_id", "rad_id", "rad_ID")


class VindrCxr(Cohort):
    """Implements ``Reader``. Films are named ``train/<image_id>`` and ``test/<image_id>``."""

    title = "VinDr-CXR"
    marks = ("annotations/image_labels_*.csv",)
    suffixes = (".dicom", ".dcm")
    published = (("train films", 15_000), ("test films", 3_000))
    splits = (("train", TRAIN_OR_VAL), ("test", "test"))
    population = "Vietnam"  # the two hospitals are not told apart

    def _read(self) -> pd.DataFrame:
        tables = [table for official in ("train", "test") if (table := self._table(official)) is not None]
        if not tables:
            raise UserError(
                "lacks annotations/image_labels_train.csv", where=self.source, remedy="get all tables of the data set"
            )
        films = pd.concat(tables)
        stems = {path.rsplit(".", 1)[0]: path for path in self.on_disk}
        films["path"] = [stems.get(name, "") for name in films["name"]]
        return films.assign(patient="")

    def _table(self, official: str) -> pd.DataFrame | None:
        name = f"image_labels_{official}.csv"
        path = find(self.source, f"annotations/{name}", name, f"{official}/{name}")
        if path is None:
            self._notes.append(f"{name} is not there: its films are left out")
            return None
        rows = read_table(path, "image_id", "Aortic enlargement", "No finding")
        columns, left_out = label_columns(rows.columns, _FACTS)
        self.left_out.update(left_out)
        require_truths(rows, path, columns)
        self.labels = ordered({*self.labels, *columns.values()})
        votes = rows[list(columns)].replace("", "nan").astype(float).groupby(rows["image_id"]).mean()
        films = (votes > 0.5).astype(float).where(votes.notna()).rename(columns=columns).reset_index()
        return films.assign(official=official, name=official + "/" + films["image_id"])

    def _known(self, row: Row) -> Known:
        return Known()

    def _labels(self, row: Row) -> dict[str, float | None]:
        values = {name: row.get(name, math.nan) for name in self.labels}
        return {name: None if math.isnan(value) else value for name, value in values.items()}
