"""Labels that a dataset's columns answer: ``sex=F``, ``view=PA``, ``site=…``, ``age>=50``, ``age<18``, ``18<=age<40``.

They stand in a recipe's ``labels`` beside findings, so that what an encoder knows of a patient is read by the same
heads, intervals and audit as any finding. Unknown where the column is empty or UNKNOWN.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from raydino.artifacts.dataset import Dataset
from raydino.errors import UserError

MANIFEST_COLUMNS = ("view", "manufacturer", "source")
PEOPLE_COLUMNS = ("sex", "population", "site", "race", "insurance")
COLUMNS = (*PEOPLE_COLUMNS, *MANIFEST_COLUMNS)
AGE_EDGES_YEARS = (18, 40, 60, 80)
_EQUAL = re.compile(r"^([a-z_]+)=(.+)$")
_YEARS = r"(\d+(?:\.\d+)?)"
_AGE = re.compile(rf"^(?:age>={_YEARS}|(?:{_YEARS}<=)?age<{_YEARS})$")


@dataclass(frozen=True)
class Attribute:
    """A yes/no question to a column: whether it holds ``value``, or years from the first up to below the second."""

    column: str
    value: str | tuple[float, float]

    @classmethod
    def of(cls, label: str) -> Attribute | None:
        """The question that ``label`` writes, None where it is an ordinary name.

        Raises UserError for a column that cannot be asked.
        """
        if found := _AGE.match(label):
            return cls("age_years", (float(found[1] or found[2] or 0), float(found[3] or np.inf)))
        found = _EQUAL.match(label)
        if not found:
            return None
        if found[1] not in COLUMNS:
            near = get_close_matches(found[1], COLUMNS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(COLUMNS)}, or age>=50"
            raise UserError(f"the label {label!r} asks a column that cannot be asked", remedy=hint)
        return cls(found[1], found[2])

    def answers(self, dataset: Dataset, sample_ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """[N] 1 yes, 0 no, NaN unknown."""
        column = column_of(self.column, dataset, sample_ids)
        if isinstance(self.value, tuple):
            years = column.to_numpy(dtype=np.float64, na_value=np.nan)
            inside = (years >= self.value[0]) & (years < self.value[1])
            return np.where(np.isfinite(years), inside, np.nan).astype(np.float32)
        unknown = column.isna() | (column == "UNKNOWN")
        return np.where(unknown, np.nan, column == self.value).astype(np.float32)


def column_of(name: str, dataset: Dataset, sample_ids: Sequence[str]) -> pd.Series:
    """[N] what a column of the manifest or of the demographics says of films."""
    table = dataset.accepted if name in MANIFEST_COLUMNS else dataset.demographics
    return table[name].reindex(list(sample_ids))


def age_bands() -> list[str]:
    """Questions that part all ages, by ``AGE_EDGES_YEARS``."""
    inner = [f"{low}<=age<{high}" for low, high in pairwise(AGE_EDGES_YEARS)]
    return [f"age<{AGE_EDGES_YEARS[0]}", *inner, f"age>={AGE_EDGES_YEARS[-1]}"]
