"""Axes name a stratum for every film; UNKNOWN stays, null never appears."""

import numpy as np
import pandas as pd
import pytest

from bias_audit.axes import AXES, AgeAxis, choose_axes
from raydino.artifacts.strata_names import UNKNOWN
from raydino.errors import UserError

EDGES = (18.0, 40.0, 60.0, 80.0)


def test_age_bands_include_their_lower_end() -> None:
    axis = AgeAxis(EDGES)
    films = pd.DataFrame({"age_years": [0, 17.9, 18, 39.99, 40, 60, 79, 80, 101, np.nan, -1, 400]})
    assert list(axis.assign(films)) == [
        *("<18", "<18", "18–39", "18–39", "40–59", "60–79", "60–79", "80+", "80+"),
        *(UNKNOWN, UNKNOWN, UNKNOWN),
    ]
    assert sorted(["80+", UNKNOWN, "<18"], key=axis.order) == ["<18", "80+", UNKNOWN]


def test_sex_spellings_and_unknowns() -> None:
    [axis] = choose_axes(["sex"], ["sex"], EDGES, skip_absent=False)
    films = pd.DataFrame({"sex": ["F", "female", "m", "O", "U", "", None, np.nan, "unknown", " F "]})
    assert list(axis.assign(films)) == ["F", "F", "M", "O", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "F"]


def test_any_column_is_an_axis() -> None:
    [axis] = choose_axes(["scanner_type"], ["scanner_type"], EDGES, skip_absent=False)
    assert axis.title == "Scanner type"
    assert list(axis.assign(pd.DataFrame({"scanner_type": ["A", None, 3]}))) == ["A", UNKNOWN, "3"]


def test_absent_columns_are_left_out_or_refused() -> None:
    assert choose_axes(["sex", "age"], ["sex"], EDGES, skip_absent=True)[0].name == "sex"
    with pytest.raises(UserError, match="the axis 'age' needs the column 'age_years'"):
        choose_axes(["age"], ["sex"], EDGES, skip_absent=False)


def test_unknown_axis_names_the_nearest() -> None:
    with pytest.raises(UserError, match="'sx' is neither an axis nor a column.*did you mean 'sex'"):
        choose_axes(["sx"], ["sex"], EDGES, skip_absent=True)


def test_all_registered_axes_load() -> None:
    for name, plugin in AXES.plugins().items():
        assert plugin.load()(EDGES).name == name
