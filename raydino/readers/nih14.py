"""ChestX-ray14 of the NIH Clinical Center, 1992–2015. Wang et al., CVPR 2017 (arXiv 1705.02315).

    Data_Entry_2017.csv or Data_Entry_2017_v2020.csv    train_val_list.txt  test_list.txt
    images_001/images/00000001_000.png … images_012/images/   (any folder, or one, serves)

Frontal films of 1024 × 1024 pixels, 8 bits. Labels were mined from reports and are complete: what is not
named is absent. Ages are numbers or, in the first table, ``058Y``; some are typing errors like 411, and
what is beyond 120 years is unknown. Validation is a tenth of the patients of train_val_list.txt, by a hash.
No spacing: the table gives that of the original, and not how the film was brought to a square.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known
from raydino.readers.cohort import TRAIN_OR_VAL, Cohort, Row, by_file_name, read_table, require, years
from raydino.readers.vocabulary import canonical, listed, ordered, with_wider

_TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
_LISTS = {"train_val": "train_val_list.txt", "test": "test_list.txt"}


class Nih14(Cohort):
    """Implements ``Reader``. Films come in order of their file names, wherever they lie."""

    title = "ChestX-ray14"
    marks = ("Data_Entry_2017*.csv*",)
    suffixes = (".png",)
    published = (("films", 112_120), ("patients", 30_805), ("train_val films", 86_524), ("test films", 25_596))
    splits = (("train_val", TRAIN_OR_VAL), ("test", "test"))
    site = "NIH Clinical Center"
    population = "United States"

    def _read(self) -> pd.DataFrame:
        path = require(self.source, *_TABLES, "Data_Entry_2017*.csv*")
        columns = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "View Position")
        films = read_table(path, *columns)
        sex = next((column for column in ("Patient Gender", "Patient Sex") if column in films.columns), None)
        if sex is None:
            raise UserError("lacks a column 'Patient Gender' or 'Patient Sex'", where=path)
        films = films.rename(columns={"Image Index": "name", "Patient ID": "patient", sex: "sex"})
        official = {name: split for split, file in _LISTS.items() for name in self._list(file)}
        films["official"] = [official.get(name, "") for name in films["name"]]
        if unlisted := int((films["official"] == "").sum()):
            self._notes.append(f"{unlisted:,} films stand on neither list of the official split")
        on_disk = by_file_name(self.on_disk)
        films["path"] = [on_disk.get(name, "") for name in films["name"]]
        terms = {term for cell in films["Finding Labels"].unique() for term in cell.split("|") if term}
        self.left_out = {term: "no finding of the vocabulary" for term in sorted(terms) if canonical(term) is None}
        self.labels = ordered(with_wider({name for term in terms if (name := canonical(term))}))
        return films

    def _list(self, name: str) -> list[str]:
        path = require(self.source, name, why="without it films of the official test set would be trained on")
        return _lines(path)

    def _known(self, row: Row) -> Known:
        return Known(
            view=row["View Position"] or None,
            age_years=years(row["Patient Age"]),
            sex=row["sex"] or None,
            study_id=f"{row['patient']}/{row['Follow-up #']}" if row.get("Follow-up #") else None,
        )

    def _labels(self, row: Row) -> dict[str, float | None]:
        cell = row["Finding Labels"]
        return listed(cell.split("|"), self.labels, complete=bool(cell))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        raise UserError("cannot be read as text", where=path) from None
