"""Audit axes: along what patients are told apart. UNKNOWN is always a stratum, null never.

An axis turns columns of the table of films into one string a film. Built-ins stand in ``AXES``;
any other column of the table is an axis by its own name. Neighbours: ``strata`` cuts by axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from raydino.artifacts.strata_names import UNKNOWN, age_bands
from raydino.errors import UserError
from raydino.registry import Registry

MAX_STRATA = 50  # more is a measurement, not a group
MAX_AGE_YEARS = 120.0
Strings = npt.NDArray[np.object_]


class Axis(Protocol):
    """One way to tell films apart. A plug-in is a factory called with the lower ends of the age bands."""

    @property
    def name(self) -> str:
        """What --by calls it."""

    @property
    def title(self) -> str:
        """What the report calls it."""

    @property
    def column(self) -> str:
        """The column of the table of films that it reads."""

    def assign(self, films: pd.DataFrame) -> Strings:
        """[films] strings, UNKNOWN where the column says nothing; never null."""

    def order(self, stratum: str) -> tuple[int, str]:
        """Sort key of a stratum in tables."""


@dataclass(frozen=True)
class ColumnAxis:
    """The values of a column as they stand, trimmed; ``rename`` brings spellings together."""

    name: str
    title: str
    column: str
    rename: Callable[[str], str] = str

    def assign(self, films: pd.DataFrame) -> Strings:
        return np.array([_known(value, self.rename) for value in films[self.column]], dtype=object)

    def order(self, stratum: str) -> tuple[int, str]:
        return (int(stratum == UNKNOWN), stratum)


@dataclass(frozen=True)
class AgeAxis:
    """Age bands in years, each from its lower end (included) to the next (excluded)."""

    edges_years: tuple[float, ...]
    name: str = "age"
    title: str = "Age in years"
    column: str = "age_years"

    @property
    def bands(self) -> tuple[str, ...]:
        """Names from young to old: ``<18``, ``18–39``, …, ``80+``."""
        return age_bands(self.edges_years)

    def assign(self, films: pd.DataFrame) -> Strings:
        age_years = films[self.column].to_numpy(np.float64)
        known = (age_years >= 0) & (age_years <= MAX_AGE_YEARS)
        band = np.searchsorted(self.edges_years, np.where(known, age_years, 0), side="right")
        return np.where(known, np.array(self.bands, dtype=object)[band], UNKNOWN)

    def order(self, stratum: str) -> tuple[int, str]:
        return (self.bands.index(stratum) if stratum in self.bands else len(self.bands), stratum)


def _known(value: object, rename: Callable[[str], str]) -> str:
    text = "" if value is None or value is pd.NA or value != value else " ".join(str(value).split())
    return UNKNOWN if text.casefold() in ("", "unknown", "nan", "none") else rename(text)


def _sex(text: str) -> str:
    known = {"f": "F", "female": "F", "m": "M", "male": "M", "o": "O", "other": "O", "u": UNKNOWN, "unk": UNKNOWN}
    return known.get(text.casefold(), text)


def sex_axis(age_edges_years: tuple[float, ...]) -> ColumnAxis:
    """F, M, O or UNKNOWN; ``female`` and ``male`` are understood."""
    return ColumnAxis("sex", "Sex", "sex", _sex)


def age_axis(age_edges_years: tuple[float, ...]) -> AgeAxis:
    """Bands of ``age_years``."""
    return AgeAxis(tuple(age_edges_years))


def population_axis(age_edges_years: tuple[float, ...]) -> ColumnAxis:
    """Country or group, as the dataset names it."""
    return ColumnAxis("population", "Population", "population")


def site_axis(age_edges_years: tuple[float, ...]) -> ColumnAxis:
    """Where the film was taken."""
    return ColumnAxis("site", "Site", "site")


def race_axis(age_edges_years: tuple[float, ...]) -> ColumnAxis:
    """Race or ethnicity, in the source's words."""
    return ColumnAxis("race", "Race or ethnicity", "race")


def insurance_axis(age_edges_years: tuple[float, ...]) -> ColumnAxis:
    """Who pays, as the source names it."""
    return ColumnAxis("insurance", "Insurance", "insurance")


def view_axis(age_edges_years: tuple[float, ...]) -> ColumnAxis:
    """PA, AP, LATERAL or UNKNOWN."""
    return ColumnAxis("view", "View", "view", str.upper)


AXES = Registry(
    "audit axis",
    "raydino.audit_axes",
    {
        name: f"bias_audit.axes:{name}_axis"
        for name in ("sex", "age", "population", "site", "race", "insurance", "view")
    },
)


def choose_axes(
    names: Sequence[str], columns: Sequence[str], age_edges_years: tuple[float, ...], *, skip_absent: bool
) -> list[Axis]:
    """The axes called ``names``. One whose column is absent is left out if ``skip_absent``, else an error.

    Raises UserError with the nearest name when there is neither such an axis nor such a column.
    """
    registered = AXES.plugins()
    chosen: list[Axis] = []
    for name in dict.fromkeys(names):
        if name in registered:
            axis: Axis = registered[name].load()(age_edges_years)
        elif name in columns:
            axis = ColumnAxis(name, name.replace("_", " ").capitalize(), name)
        else:
            known = [*registered, *columns]
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(dict.fromkeys(known))}"
            raise UserError(f"--by {name!r} is neither an axis nor a column of the table", remedy=hint)
        if axis.column in columns:
            chosen.append(axis)
        elif not skip_absent:
            found = ", ".join(columns) or "none"
            raise UserError(
                f"the axis {name!r} needs the column {axis.column!r}",
                remedy=f"add it to the table or pass --demographics DATASET; group columns found: {found}",
            )
    return chosen
