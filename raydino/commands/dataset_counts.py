"""What a dataset holds, in counts by group that add up to its rows: for the terminal and for plots.

Neighbours: ``inspect`` prints them, ``contact_sheet`` draws them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from raydino.artifacts.dataset import Dataset

MOST_GROUPS = 12  # of one distribution; the rest is told as one
AGE_BINS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90)  # years; the last is open


@dataclass(frozen=True)
class Distribution:
    """Films by group, in the order in which they are shown. Unknown is a group."""

    name: str
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def distributions(dataset: Dataset) -> Iterator[Distribution]:
    """Age, sex, view, site, maker and more of the accepted films; one that is unknown throughout is left out."""
    films, people = dataset.accepted, dataset.demographics
    yield Distribution("age in years", _ages(people["age_years"]))
    by_size = {
        "sex": people["sex"],
        "view": films["view"],
        "site": people["site"],
        "manufacturer": films["manufacturer"],
        "population": people["population"],
        "race": people["race"],
        "modality": films["modality"],
    }
    for name, values in by_size.items():
        yield Distribution(name, _largest(values))
    years = films["study_year"].dropna().astype(int)
    counts = {str(year): int(count) for year, count in years.value_counts().sort_index().items()}
    yield Distribution("year of the study", _with_unknown(counts, len(films) - len(years)))


def reasons(dataset: Dataset) -> Distribution:
    """Rejected rows by reason, the most frequent first."""
    counts = dataset.manifest["reason"].dropna().value_counts()
    return Distribution("rejected", {str(reason): int(count) for reason, count in counts.items()})


def is_told(distribution: Distribution) -> bool:
    """Whether anything but ``unknown`` is in it."""
    return any(count for group, count in distribution.counts.items() if group != "unknown")


def _ages(ages: pd.Series) -> dict[str, int]:
    known = ages.dropna()
    counts = {}
    for low, high in zip(AGE_BINS, (*AGE_BINS[1:], None), strict=True):
        inside = known >= low if high is None else (known >= low) & (known < high)
        counts[f"{low}+" if high is None else f"{low}–{high - 1}"] = int(inside.sum())
    return _with_unknown(counts, len(ages) - len(known))


def _largest(values: pd.Series) -> dict[str, int]:
    known = values.where(values != "UNKNOWN").dropna()
    counts = {str(group): int(count) for group, count in known.value_counts(sort=True).items()}
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    shown = dict(list(ordered.items())[:MOST_GROUPS])
    if len(ordered) > MOST_GROUPS:
        others = list(ordered.items())[MOST_GROUPS:]
        shown[f"{len(others)} others"] = sum(count for _, count in others)
    return _with_unknown(shown, len(values) - len(known))


def _with_unknown(counts: dict[str, int], unknown: int) -> dict[str, int]:
    return counts | {"unknown": unknown} if unknown else counts
