"""CheXpert: one hospital in Stanford, 2002–2017. Irvin et al., AAAI 2019 (arXiv 1901.07031).

CheXpert-v1.0 and -v1.0-small have one layout, and v1.0 also comes in four batches:

    train.csv  valid.csv  {train,valid}/patient00001/study1/view1_frontal.jpg
    CheXpert-v1.0 batch 1 (validate & csv)/…   CheXpert-v1.0 batch 2 (train 1)/patient00001/study1/…
    test_labels.csv (or groundtruth.csv) and test/, of CheXlocalize, where the test set is at hand

Columns: Path, Sex, Age, Frontal/Lateral, AP/PA and 14 labels: 1, 0, -1 uncertain, empty not mentioned; those of
the test set are a Path and labels. Age is 0 where it is unknown and 90 for everyone older. "CHEXPERT DEMO.xlsx"
or the same as .csv gives race (PRIMARY_RACE, where it is silent ETHNICITY), and sex and age where the films' table has
none: columns PATIENT, GENDER, AGE_AT_CXR, PRIMARY_RACE, ETHNICITY.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known
from raydino.readers.cohort import Cohort, Row, find, read_table, require, require_columns, require_truths, years
from raydino.readers.vocabulary import label_columns, ordered, settled, truth

_BATCH = "CheXpert-v1.0*batch*"
_TABLES = {"train": ("train.csv",), "valid": ("valid.csv",), "test": ("test_labels.csv", "groundtruth.csv")}
_FACTS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")
_DEMOGRAPHICS = ("CHEXPERT DEMO.csv", "CHEXPERT DEMO.xlsx", "CHEXPERT_DEMO.csv", "CHEXPERT_DEMO.xlsx")
_SILENT = ("", "unknown", "patient refused", "nan")


class CheXpert(Cohort):
    """Implements ``Reader``. Films are named ``train/patient00001/study1/view1_frontal.jpg`` in every layout."""

    title = "CheXpert"
    marks = ("train.csv", "train/patient*")
    suffixes = (".jpg",)
    published = (("train films", 223_414), ("valid films", 234), ("test films", 668))
    splits = (("train", "train"), ("valid", "val"), ("test", "test"))
    site = "Stanford Hospital"
    population = "United States"

    @classmethod
    def recognises(cls, source: str) -> bool:
        in_batches = (f"{_BATCH}/train.csv", f"{_BATCH}/patient*")
        try:
            layouts = (cls.marks, in_batches)
            return any(all(any(Path(source).glob(mark)) for mark in marks) for marks in layouts)
        except (OSError, ValueError):
            return False

    def _read(self) -> pd.DataFrame:
        require(self.source, "train.csv", f"{_BATCH}/train.csv")
        tables = []
        for official, names in _TABLES.items():
            path = find(self.source, *names, *(f"{_BATCH}/{name}" for name in names))
            if path is not None:
                tables.append(self._table(path, official))
        films = pd.concat(tables, ignore_index=True).fillna("")
        on_disk = {_tail(path): path for path in reversed(self.on_disk)}
        films["path"] = [on_disk.get(_tail(path), "") for path in films["Path"]]
        films["name"] = [f"{official}/{_tail(p)}" for official, p in zip(films["official"], films["Path"], strict=True)]
        films["patient"] = [PurePosixPath(path).parts[-3] for path in films["Path"]]
        self._people = self._demographics()
        return films

    def _table(self, path: Path, official: str) -> pd.DataFrame:
        facts = ("Path",) if official == "test" else _FACTS
        frame = read_table(path, *facts, "No Finding", "Pleural Effusion")
        if not frame["Path"].str.fullmatch(r".*patient\d+/study\d+/[^/]+").all():
            raise UserError("column 'Path' holds something else than …/patient…/study…/view….jpg", where=path)
        columns, left_out = label_columns(frame.columns, _FACTS)
        self.left_out.update(left_out)
        require_truths(frame, path, columns)
        self.labels = ordered({*self.labels, *columns.values()})
        return frame.rename(columns=columns).assign(official=official)

    def _demographics(self) -> dict[str, Row]:
        path = find(self.source, *_DEMOGRAPHICS, *(f"chexpertdemo*/{name}" for name in _DEMOGRAPHICS))
        path = path or find(self.source.resolve().parent, *_DEMOGRAPHICS)
        if path is None:
            self._notes.append("the demographics table (CHEXPERT DEMO.xlsx or .csv) is not beside it: race is unknown")
            return {}
        frame = read_table(path) if path.suffix == ".csv" else _read_workbook(path)
        require_columns(frame, path, ("PATIENT", "PRIMARY_RACE", "ETHNICITY"))
        return {str(row["PATIENT"]): row for row in frame.to_dict("records")}

    def _known(self, row: Row) -> Known:
        person = self._people.get(row["patient"], {})
        stated = (person.get(column, "") for column in ("PRIMARY_RACE", "ETHNICITY"))
        lateral = row.get("Frontal/Lateral") == "Lateral" or row["name"].endswith("_lateral.jpg")
        sex = row.get("Sex") or person.get("GENDER")
        return Known(
            study_id=str(PurePosixPath(row["name"]).parent),
            view="LATERAL" if lateral else row.get("AP/PA") or None,
            age_years=years(row.get("Age") or person.get("AGE_AT_CXR") or ""),
            sex=sex or None,
            race=next((race for race in stated if race.casefold() not in _SILENT), None),
        )

    def _labels(self, row: Row) -> dict[str, float | None]:
        return settled({name: truth(row[name], self.uncertain) for name in self.labels})


def _tail(path: str) -> str:
    return "/".join(PurePosixPath(path).parts[-3:])


def _read_workbook(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_excel(path, dtype=str, keep_default_na=False)
    except ImportError:
        raise UserError(
            "reading it needs openpyxl", where=path, remedy="pip install openpyxl, or save it as CHEXPERT DEMO.csv"
        ) from None
    except Exception:  # a zip of XML can be broken in any way
        raise UserError("is not a workbook that can be read", where=path) from None
    return frame.apply(lambda column: column.str.strip())
