from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from raydino.artifacts.dataset import Dataset
from raydino.commands.dataset_counts import MOST_GROUPS, _ages, _largest, distributions, is_told, reasons
from raydino.testing.tiny import tiny_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("counts") / "dataset", n_patients=20)


def test_each_distribution_adds_up_to_the_films(dataset: Dataset) -> None:
    panels = {panel.name: panel for panel in distributions(dataset)}
    assert {panel.total for panel in panels.values()} == {40}
    assert panels["sex"].counts == {"F": 16, "M": 16, "unknown": 8}
    assert panels["site"].counts == {"north": 20, "south": 20}
    assert panels["manufacturer"].counts == {"OTHER": 20, "SIEMENS": 20}
    assert list(panels["year of the study"].counts) == ["2019", "2020", "2021"]
    assert [name for name, panel in panels.items() if not is_told(panel)] == ["population", "race"]


def test_reasons_add_up_to_the_rejected(dataset: Dataset) -> None:
    assert reasons(dataset).counts == {"not_chest": 1}


def test_ages_at_the_edges() -> None:
    counts = _ages(pd.Series([0.0, 9.99, 10.0, 89.0, 90.0, np.nan]))
    told = {group: count for group, count in counts.items() if count}
    assert told == {"0–9": 2, "10–19": 1, "80–89": 1, "90+": 1, "unknown": 1}


def test_many_groups_become_one() -> None:
    values = pd.Series([f"site-{i:02d}" for i in range(MOST_GROUPS + 3)] + ["site-14"] * 5 + ["UNKNOWN", None])
    counts = _largest(values)
    assert next(iter(counts.items())) == ("site-14", 6)
    assert counts["3 others"] == 3
    assert counts["unknown"] == 2
    assert sum(counts.values()) == len(values)


def test_an_empty_distribution_tells_nothing(tmp_path: Path) -> None:
    assert _largest(pd.Series([None, "UNKNOWN"], dtype=object)) == {"unknown": 2}
