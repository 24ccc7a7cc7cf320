"""Who is in which split adds up, and patients or films in two splits are told."""

from dataclasses import replace

import pandas as pd

from bias_audit.audit import audit
from bias_audit.axes import choose_axes
from bias_audit.inputs import table_of
from bias_audit.page import render_html
from bias_audit.render import report_values
from bias_audit.settings import AuditConfig, Recipe
from bias_audit.splits import leaks_between_splits, split_counts


def films() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "sample_id": list("abcdefg"),
            "patient_id": ["1", "1", "2", "3", "4", "4", "5"],
            "sex": ["F", "F", "M", None, "M", "M", "F"],
            "split": ["train", "train", "train", "val", "test", "test", None],
            "content_sha256": ["x", "y", "z", "v", "u", "w", "x"],
        }
    )
    return frame.set_index("sample_id")


def test_counts_of_a_split_add_up_over_each_axis() -> None:
    axes = choose_axes(["sex", "ward"], ["sex", "ward"], (18,), skip_absent=False)
    counts = split_counts(films(), axes).set_index(["axis", "stratum", "split"])
    assert set(counts.index.get_level_values("axis")) == {"all", "sex"}  # the dataset has no wards
    assert counts.loc[("sex", "F", "train")].to_dict() == {"n_images": 2, "n_patients": 1}
    assert counts.loc[("sex", "UNKNOWN", "val"), "n_images"] == 1
    by_axis = counts["n_images"].groupby(["axis", "split"]).sum().unstack()
    assert (by_axis.loc["all"] == by_axis.loc["sex"]).all()
    assert split_counts(None, axes).empty
    assert split_counts(films().assign(split=None), axes).empty


def test_patients_and_pixels_in_two_splits_are_told() -> None:
    clean = leaks_between_splits(films(), pd.Index(["e", "f"]), "d")
    assert clean is not None
    assert "in the split test (2 films)" in clean
    assert "patients 0 stand in more than one split, and of the films 0 pixel" in clean
    torn = films()
    torn.loc["f", "content_sha256"] = "y"
    torn.loc["d", "patient_id"] = "4"
    told = leaks_between_splits(torn, pd.Index(["e", "f"]), "d")
    assert told is not None
    assert "patients 1 stand in more than one split, and of the films 1 pixel" in told
    mixed = leaks_between_splits(films(), pd.Index(["a", "e", "f", "g"]), "d")
    assert mixed is not None
    assert "test (2 films), train (1 films)" in mixed
    assert leaks_between_splits(films().assign(split=None), pd.Index(["e"]), "d") is None


def test_the_page_shows_them_unless_small_groups_are_hidden(cohort: pd.DataFrame) -> None:
    frame = cohort[cohort["label"] == "Nodule"]
    table = replace(table_of(frame, "p.csv"), dataset=frame.set_index("sample_id"))
    axes = choose_axes(["sex"], table.groups, (18,), skip_absent=False)
    for hidden in (0, 10):
        recipe = Recipe(bootstraps=100, metrics=("auroc",), suppress_below=hidden)
        result = audit(table, axes, AuditConfig(recipe=recipe))
        report = report_values(result)
        assert ("The dataset by split" in render_html(result, report)) is not bool(hidden)
        assert bool(report["splits"]) is not bool(hidden)
