"""A CSV with one row a film: labels, and what else a source knows (``Known``).

Used for ``--labels`` beside DICOM and as the list of an image source. RESERVED columns are facts;
every other column whose cells are 1, 0 or empty is a label; the rest is left out and named.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known

KEYS = ("sop_instance_uid", "file")
RESERVED = frozenset(
    (
        "sop_instance_uid",
        "file",
        "patient_id",
        "study_id",
        "study_instance_uid",
        "series_instance_uid",
        "site",
        "split",
        "view",
        "age_years",
        "age",
        "sex",
        "population",
        "race",
        "insurance",
        "cardiothoracic_ratio",
        "spacing_mm",
        "text",
        "report",
        "duplicate_of",
    )
)
_TRUTH: dict[str, float | None] = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": None}
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Row:
    """One film's row: its line in the CSV (the header is line 1), facts and labels."""

    line: int
    known: Known
    labels: dict[str, float | None]


class FilmTable:
    """Rows by ``key``, the first of ``keys`` that is a column. Raises UserError on a faulty file."""

    def __init__(self, path: Path, keys: tuple[str, ...] = KEYS) -> None:
        frame = read_csv(path)
        key = next((name for name in keys if name in frame.columns), None)
        if key is None:
            # Its first line is not quoted: without headings that is a patient's.
            told = f"none of its {len(frame.columns)} columns is called so in the first line"
            raise UserError(f"lacks a column {' or '.join(keys)}", where=path, remedy=told)
        self.key = key
        self.labels, self.left_out = _label_columns(frame)
        self.rows: dict[str, Row] = {}
        for line, cells in enumerate(frame.to_dict("records"), start=2):
            name = cells[key]
            if name in self.rows:
                raise UserError(f"lines {self.rows[name].line} and {line} are of one {key}", where=path)
            labels = {label: _TRUTH[cells[label]] for label in self.labels}
            self.rows[name] = Row(line, _known(cells, path, line), labels)

    def find(self, sop_instance_uid: str, name: str) -> Row | None:
        """The row of a film, by whichever of the two the table is keyed with."""
        return self.rows.get(sop_instance_uid if self.key == "sop_instance_uid" else name)


def read_csv(path: Path) -> pd.DataFrame:
    """All cells as stripped text, empty ones as ``""``. Raises UserError."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UserError("is a broken gzip file", where=path) from None
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path) from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError):
        raise UserError("is not a CSV file in UTF-8", where=path) from None
    frame.columns = frame.columns.str.strip()
    return frame.apply(lambda column: column.str.strip())


def _label_columns(frame: pd.DataFrame) -> tuple[tuple[str, ...], dict[str, str]]:
    labels, left_out = [], {}
    for column in frame.columns:
        if column in RESERVED:
            continue
        values = set(frame[column])
        if not values <= _TRUTH.keys():
            left_out[column] = "holds values other than 1, 0 and empty"
        elif values <= {""}:
            left_out[column] = "is empty"
        else:
            labels.append(column)
    return tuple(labels), left_out


def _known(cells: dict[str, str], path: Path, line: int) -> Known:
    split = cells.get("split") or None
    if split is not None and split.lower() not in _SPLITS:
        raise UserError(f"line {line}: the split is none of train, val and test", where=path)
    return Known(
        patient_id=cells.get("patient_id") or None,
        study_id=cells.get("study_id") or cells.get("study_instance_uid") or None,
        view=cells.get("view") or None,
        split=_SPLITS[split.lower()] if split else None,
        age_years=_number(cells, "age_years", path, line),
        sex=cells.get("sex") or None,
        population=cells.get("population") or None,
        site=cells.get("site") or None,
        race=cells.get("race") or None,
        insurance=cells.get("insurance") or None,
        spacing_mm=_number(cells, "spacing_mm", path, line),
        cardiothoracic_ratio=_number(cells, "cardiothoracic_ratio", path, line),
    )


def _number(cells: dict[str, str], column: str, path: Path, line: int) -> float | None:
    if not (cell := cells.get(column)):
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UserError(f"line {line}: {column} is not a number", where=path)
    return value
