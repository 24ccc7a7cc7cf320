"""The axes of the curation report: who is in which group, from what a dataset tells of its films.

The names and age bands are those of the bias audit, so that the two reports can be read side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from raydino.artifacts.dataset import Dataset
from raydino.curation.composition import NO_FINDING, UNKNOWN, Axis

AGE_EDGES_YEARS = (18, 40, 60, 80)  # the lower end of each band but the first
MAX_AGE_YEARS = 120
COLUMN_AXES = {  # axis → (title, table it stands in)
    "sex": ("Sex", "demographics"),
    "site": ("Site", "demographics"),
    "view": ("View", "manifest"),
    "population": ("Population", "demographics"),
    "race": ("Race or ethnicity", "demographics"),
    "insurance": ("Insurance", "demographics"),
}


def axes_of(dataset: Dataset, sample_ids: Sequence[str]) -> list[Axis]:
    """Finding, age, sex, site, view and what else is told of ``sample_ids``; a film unknown to the dataset is unknown.

    An axis of which nothing is known comes too, with one group.
    """
    people = dataset.demographics.reindex(sample_ids)
    tables = {"demographics": people, "manifest": dataset.accepted.reindex(sample_ids)}
    axes = [finding_axis(dataset.labels.reindex(sample_ids)), age_axis(people["age_years"].to_numpy(np.float64))]
    axes += [
        column_axis(name, title, tables[table][name].to_numpy(object)) for name, (title, table) in COLUMN_AXES.items()
    ]
    return axes


def finding_axis(labels: pd.DataFrame) -> Axis:
    """``labels`` [N, labels] of 1, 0 and NaN: a group for each label present, one for films that are labelled and
    have none, and UNKNOWN for films without any label."""
    values = labels.to_numpy(np.float64)
    known, present = np.isfinite(values), values == 1
    films, members = np.nonzero(present)
    names = [str(name) for name in labels.columns]
    unknown = ~known.any(axis=1)
    none = np.flatnonzero(~unknown & ~present.any(axis=1))
    rest = np.flatnonzero(unknown)
    order = sorted(range(len(names)), key=lambda k: (-int(present[:, k].sum()), names[k]))
    place = np.argsort(np.array(order, np.int64))  # of a label among the groups
    return Axis(
        "finding",
        "Finding",
        (*(names[k] for k in order), NO_FINDING, UNKNOWN),
        np.concatenate([films, none, rest]),
        np.concatenate([place[members], np.full(len(none), len(names)), np.full(len(rest), len(names) + 1)]),
        exclusive=False,
    )


def label_axes(labels: pd.DataFrame) -> list[Axis]:
    """For each label an axis of its own: present, absent or unknown."""
    groups = ("present", "absent", UNKNOWN)
    axes = []
    for name in labels:
        values = labels[name].to_numpy(np.float64)
        members = np.where(np.isnan(values), 2, np.where(values == 1, 0, 1))
        axes.append(Axis(str(name), str(name), groups, np.arange(len(values)), members))
    return axes


def age_axis(age_years: npt.NDArray[np.float64]) -> Axis:
    """Bands ``<18``, ``18–39``, …, ``80+`` of ages [N]; NaN and what is no age are UNKNOWN."""
    low, *_ = edges = AGE_EDGES_YEARS
    bands = (f"<{low}", *(f"{a}–{b - 1}" for a, b in pairwise(edges)), f"{edges[-1]}+")
    known = (age_years >= 0) & (age_years <= MAX_AGE_YEARS)
    band = np.searchsorted(edges, np.where(known, age_years, 0), side="right")
    members = np.where(known, band, len(bands))
    return Axis("age", "Age in years", (*bands, UNKNOWN), np.arange(len(age_years)), members)


def column_axis(name: str, title: str, values: npt.NDArray[np.object_]) -> Axis:
    """The values [N] as they stand, trimmed, the largest group first; null, empty and "unknown" are UNKNOWN."""
    codes, spellings = pd.factorize(values, use_na_sentinel=False)
    named = [_group_of(spelling) for spelling in spellings]
    counts: Counter[str] = Counter()
    for spelled, n in zip(named, np.bincount(codes, minlength=len(named)), strict=True):
        counts[spelled] += int(n)
    groups = sorted((group for group in counts if group != UNKNOWN), key=lambda group: (-counts[group], group))
    place = {group: k for k, group in enumerate([*groups, UNKNOWN])}
    members = np.array([place[group] for group in named], np.int64)[codes]
    return Axis(name, title, (*groups, UNKNOWN), np.arange(len(values)), members)


def _group_of(value: object) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return UNKNOWN if text.casefold() in ("", UNKNOWN, "nan", "none") else text
