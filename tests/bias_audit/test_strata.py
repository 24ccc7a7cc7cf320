"""The strata of every axis partition the films."""

import numpy as np
import pandas as pd
import pytest

from bias_audit.axes import ColumnAxis, choose_axes
from bias_audit.strata import cohort_table, index_of, is_unknown, partitions, references_of
from raydino.errors import UserError


@pytest.fixture
def films() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 500
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "patient_id": [f"p{i // 2}" for i in range(n)],
            "sex": rng.choice(["F", "M", None], n),
            "age_years": np.where(rng.random(n) < 0.1, np.nan, rng.uniform(0, 100, n)),
            "site": rng.choice(["A", "B", ""], n, p=[0.7, 0.2, 0.1]),
        }
    )


def test_strata_of_each_axis_partition_the_films(films: pd.DataFrame) -> None:
    axes = choose_axes(["sex", "age", "site"], films.columns, (18, 40, 60, 80), skip_absent=False)
    parts = partitions(films, axes, depth=2)
    assert [part.axis for part in parts] == ["all", "sex", "age", "site", "sex × age", "sex × site", "age × site"]
    assert [part.depth for part in parts] == [0, 1, 1, 1, 2, 2, 2]
    index = index_of(parts)
    assert index.membership.shape == (500, 7)
    table = cohort_table(films, parts)
    for column, part in enumerate(parts):
        counts = table[table["axis"] == part.axis]
        assert counts["n_images"].sum() == 500
        assert (counts["n_images"] > 0).all()
        assert {index.axes[k] for k in index.membership[:, column]} == {part.axis}
    assert len(index) == sum(len(part.strata) for part in parts)


def test_unknown_is_a_stratum_and_a_cell(films: pd.DataFrame) -> None:
    axes = choose_axes(["sex", "site"], films.columns, (18,), skip_absent=False)
    parts = partitions(films, axes, depth=2)
    assert parts[1].strata == ("F", "M", "UNKNOWN")
    assert "F × UNKNOWN" in parts[3].strata
    assert is_unknown("F × UNKNOWN")
    assert not is_unknown("F × A")
    both = (films["sex"] == "F") & (films["site"] == "B")
    k = parts[3].strata.index("F × B")
    assert ((parts[3].codes == k) == both.to_numpy()).all()


def test_an_axis_with_one_stratum_is_not_crossed(films: pd.DataFrame) -> None:
    axes = choose_axes(["sex", "site"], films.columns, (18,), skip_absent=False)
    parts = partitions(films.assign(site="A"), axes, depth=2)
    assert [part.axis for part in parts] == ["all", "sex", "site"]


def test_a_measurement_is_no_group(films: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="'age_years' has .* values, more than 50"):
        partitions(films, [ColumnAxis("age_years", "Age", "age_years")], depth=1)


def test_a_crossing_of_three_axes_has_the_films_of_all_three(films: pd.DataFrame) -> None:
    axes = choose_axes(["sex", "age", "site"], films.columns, (18, 65), skip_absent=False)
    parts = partitions(films, axes, depth=3)
    three = parts[-1]
    assert (three.axis, three.depth) == ("sex × age × site", 3)
    inside = (films["sex"] == "M") & films["age_years"].between(18, 64.999) & (films["site"] == "A")
    k = three.strata.index("M × 18–64 × A")
    assert ((three.codes == k) == inside.to_numpy()).all()


def test_references_are_found_by_name_or_refused(films: pd.DataFrame) -> None:
    axes = choose_axes(["sex", "site"], films.columns, (18,), skip_absent=False)
    index = index_of(partitions(films, axes, depth=1))
    chosen = references_of({"sex": "M"}, index)
    compared = {index.names[k]: chosen[k] for k in range(len(index)) if index.axes[k] == "sex"}
    male = index.names.index("M")
    assert compared == {"F": male, "M": -1, "UNKNOWN": male}
    assert (chosen[np.array(index.axes) != "sex"] == -1).all()
    with pytest.raises(UserError, match="no axis is called 'sx'; known: all, sex, site"):
        references_of({"sx": "M"}, index)
