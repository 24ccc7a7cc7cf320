"""Checks of a table's columns and values; each fault is one line that names the row and the value.

Row numbers count from 1 and leave the header out. Neighbour: ``inputs`` calls these.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from bias_audit.ages import age_in_years
from bias_audit.axes import MAX_AGE_YEARS
from raydino.errors import UserError


def require_columns(frame: pd.DataFrame, needed: Sequence[str], path: Path, remedy: str | None = None) -> None:
    """Raise UserError naming the first missing column, the nearest one found, all found, and ``remedy``."""
    found = [str(name) for name in frame.columns]
    missing = [name for name in needed if name not in found]
    if missing:
        near = get_close_matches(missing[0], found, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(
            f"lacks the column {missing[0]!r}",
            where=path,
            remedy=f"{hint}needed: {', '.join(needed)}; found: {', '.join(found) or 'none'}"
            + (f"; {remedy}" if remedy else ""),
        )


def to_text(frame: pd.DataFrame, name: str, path: Path) -> pd.Series:
    """An identifier column as trimmed text; an empty cell is an error."""
    text = frame[name].astype(object).where(frame[name].notna(), "").astype(str).str.strip()
    empty = text == ""
    if empty.any():
        raise UserError(f"row {_row(empty)}: {name} is empty", where=path, remedy=f"every row needs a {name}")
    return text


def to_fractions(frame: pd.DataFrame, name: str, path: Path) -> pd.Series:
    """A column of numbers in 0..1, none missing."""
    numbers = _numbers(frame, name, path)
    wrong = ~((numbers >= 0) & (numbers <= 1))
    if wrong.any():
        at = _row(wrong)
        raise UserError(
            f"row {at}: {name} is {_shown(frame[name].iloc[at - 1])}, not a number from 0 to 1",
            where=path,
            remedy="scores are probabilities; bring other outputs into 0..1 first" if name == "score" else None,
        )
    return numbers


def to_thresholds(frame: pd.DataFrame, path: Path, notes: list[str]) -> pd.Series:
    """Fractions; empty in every row of a label that has no operating point, which becomes a note."""
    empty = frame["threshold"].isna()
    by_label = empty.groupby(frame["label"].astype(str)).agg(["any", "all"])
    for label in by_label.index[by_label["any"] & ~by_label["all"]]:
        raise UserError(
            f"some rows of {label!r} have no threshold and others have one",
            where=path,
            remedy="give each row one, or leave it empty for the whole label",
        )
    if by_label["all"].any():
        notes.append(
            f"No operating point came with {', '.join(by_label.index[by_label['all']])}: nobody is called positive or "
            "negative, so of the metrics only those without a threshold are given."
        )
    return to_fractions(frame.assign(threshold=frame["threshold"].where(~empty, 0.0)), "threshold", path).where(~empty)


def to_targets(frame: pd.DataFrame, path: Path) -> pd.Series:
    """1, 0 or NaN (unknown)."""
    numbers = _numbers(frame, "target", path)
    wrong = numbers.notna() & ~numbers.isin([0, 1])
    if wrong.any():
        at = _row(wrong)
        raise UserError(
            f"row {at}: target is {_shown(frame['target'].iloc[at - 1])}, neither 0 nor 1 nor empty",
            where=path,
            remedy="leave the cell empty where the truth is unknown or uncertain",
        )
    return numbers


def to_ages(frame: pd.DataFrame, path: Path, notes: list[str]) -> pd.Series:
    """Years; ages with a unit ("045Y", "6M") are taken, impossible ones become NaN; a note says how many of either."""
    column = frame["age_years"].astype(object)
    with_unit = column.map(lambda value: age_in_years(value) if isinstance(value, str) else None)
    read = with_unit.notna()
    if read.any():
        shown = column[read].iloc[0]
        notes.append(f"{int(read.sum())} rows give the age with a unit, as {shown!r}: taken as years.")
    years = _numbers(frame.assign(age_years=column.where(~read, with_unit)), "age_years", path)
    wrong = (years < 0) | (years > MAX_AGE_YEARS)
    if wrong.any():
        notes.append(
            f"{int(wrong.sum())} rows have an age below 0 or above {MAX_AGE_YEARS:g} years: counted as UNKNOWN."
        )
    return years.mask(wrong)


def _numbers(frame: pd.DataFrame, name: str, path: Path) -> pd.Series:
    column = frame[name]
    try:
        numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    except (TypeError, ValueError):  # lists, structs, times
        raise UserError(f"{name} holds {column.dtype}, not numbers", where=path) from None
    empty = column.isna() | (column.astype(object).map(lambda value: isinstance(value, str) and not value.strip()))
    wrong = numbers.isna() & ~empty
    if wrong.any():
        at = _row(wrong)
        raise UserError(f"row {at}: {name} is {_shown(column.iloc[at - 1])}, not a number", where=path)
    return numbers


def _row(mask: pd.Series) -> int:
    return int(np.argmax(mask.to_numpy())) + 1


def _shown(value: object) -> str:
    try:
        if value is None or value != value:
            return "empty"
        return repr(value if isinstance(value, str) else float(str(value)))
    except ValueError:  # a list, a struct, a time
        return str(value)[:60]


def drop_repeats(frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Rows that say exactly the same of the same film and label count once, and a note says how many did not."""
    repeated = frame.duplicated()
    if repeated.any():
        notes.append(f"{int(repeated.sum())} rows repeat another row exactly: counted once.")
    return frame[~repeated].reset_index(drop=True)


def refuse_duplicates(frame: pd.DataFrame, path: Path) -> None:
    """Raise UserError when a film stands twice with the same label, or belongs to two patients."""
    twice = frame.duplicated(["sample_id", "label"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise UserError(
            f"row {_row(twice)}: the film {row['sample_id']!r} stands twice with the label {row['label']!r}",
            where=path,
            remedy="keep one row a film and label",
        )
    owners = frame.groupby("sample_id")["patient_id"].nunique()
    if (owners > 1).any():
        raise UserError(f"the film {owners[owners > 1].index[0]!r} belongs to two patients", where=path)


def refuse_torn_patients(frame: pd.DataFrame, path: Path) -> None:
    """Raise UserError when a patient stands in two splits: intervals and thresholds would not be honest."""
    splits = frame.groupby("patient_id")["split"].nunique()
    if (splits > 1).any():
        patient = splits[splits > 1].index[0]
        names = sorted(frame["split"][frame["patient_id"] == patient].dropna().astype(str).unique())
        raise UserError(
            f"the patient {patient!r} stands in two splits ({', '.join(names)})",
            where=path,
            remedy="split by patient, and audit one split",
        )


def refuse_ambiguous_groups(frame: pd.DataFrame, groups: Sequence[str], path: Path) -> None:
    """Raise UserError when the rows of one film disagree about a group."""
    for name in groups:
        values = frame.groupby("sample_id")[name].nunique(dropna=False)
        if (values > 1).any():
            film = values[values > 1].index[0]
            several = sorted(frame[name][frame["sample_id"] == film].astype(str).unique())
            raise UserError(
                f"the film {film!r} has several values of {name!r}: {', '.join(several)}",
                where=path,
                remedy="a film belongs to one group",
            )
