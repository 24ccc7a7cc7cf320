"""Who is in which group: unknown is a group, and films may have several findings or none."""

import numpy as np
import pandas as pd
import pytest

from raydino.curation.axes import age_axis, axes_of, column_axis, finding_axis, label_axes
from raydino.curation.composition import NO_FINDING, UNKNOWN, Axis
from raydino.testing.tiny import tiny_dataset

NAN = np.nan


def names(axis: Axis) -> list[list[str]]:
    """The groups of each film."""
    found: list[list[str]] = [[] for _ in range(int(axis.films.max()) + 1)]
    for film, member in zip(axis.films, axis.members, strict=True):
        found[film].append(axis.groups[member])
    return found


def test_ages_fall_into_the_bands_of_the_audit():
    ages = np.array([0, 17.9, 18, 39.9, 40, 79, 80, 90, NAN, -1, 150])
    bands = ["<18", "<18", "18–39", "18–39", "40–59", "60–79", "80+", "80+", UNKNOWN, UNKNOWN, UNKNOWN]
    assert names(age_axis(ages)) == [[band] for band in bands]


def test_a_columns_unknowns_come_together_and_last():
    values = np.array(["b", "a", " a ", None, "UNKNOWN", "", NAN, "a  b", "unknown"], object)
    axis = column_axis("site", "Site", values)
    assert axis.groups == ("a", "a b", "b", UNKNOWN)
    assert names(axis) == [["b"], ["a"], ["a"], [UNKNOWN], [UNKNOWN], [UNKNOWN], [UNKNOWN], ["a b"], [UNKNOWN]]


def test_findings_of_films_with_several_none_and_no_label():
    labels = pd.DataFrame({"rare": [0, 1, 0, NAN, NAN, 0], "often": [1, 1, 0, NAN, 1, NAN]}, dtype=float)
    axis = finding_axis(labels)
    assert axis.groups == ("often", "rare", NO_FINDING, UNKNOWN)
    assert [sorted(film) for film in names(axis)] == [
        ["often"], ["often", "rare"], [NO_FINDING], [UNKNOWN], ["often"], [NO_FINDING],
    ]  # fmt: skip
    assert not axis.exclusive


def test_a_label_is_present_absent_or_unknown():
    (axis,) = label_axes(pd.DataFrame({"x": [1.0, 0.0, NAN]}))
    assert names(axis) == [["present"], ["absent"], [UNKNOWN]]


def test_no_label_at_all_is_unknown_for_everyone():
    assert names(finding_axis(pd.DataFrame(index=range(3)))) == [[UNKNOWN]] * 3


@pytest.mark.parametrize("stranger", [False, True])
def test_every_film_is_somewhere_on_every_axis(tmp_path, stranger):
    dataset = tiny_dataset(tmp_path / "dataset", n_patients=6)
    ids = list(dataset.accepted.index) + ["not of this dataset"] * stranger
    axes = {axis.name: axis for axis in axes_of(dataset, ids)}
    assert list(axes)[:5] == ["finding", "age", "sex", "site", "view"]
    for axis in axes.values():
        assert set(axis.films) == set(range(len(ids)))
        if axis.exclusive:
            assert len(axis.films) == len(ids)
        if stranger:
            assert names(axis)[-1] == [UNKNOWN]
    sexes = dataset.demographics["sex"].reindex(dataset.accepted.index)
    told = [group for (group,) in names(axes["sex"])][: len(sexes)]
    assert told == list(sexes.str.replace("UNKNOWN", UNKNOWN))
