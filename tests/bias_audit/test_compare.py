"""Two tables compared: what is common cancels, a gap that grew is found, nothing else is."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from bias_audit.axes import choose_axes
from bias_audit.compare import Changes, change_quantities, compare
from bias_audit.compare_page import pairing, write_comparison
from bias_audit.inputs import table_of
from bias_audit.settings import AuditConfig, Recipe
from raydino.artifacts.audit import CHANGES, GAP_CHANGES
from raydino.cli import run
from raydino.errors import UserError

LABELS = ["Nodule", "Cardiomegaly"]
CONFIG = AuditConfig(recipe=Recipe(bootstraps=150, metrics=("auroc", "sensitivity", "specificity", "brier"), depth=1))


@pytest.fixture(scope="module")
def old(cohort: pd.DataFrame) -> pd.DataFrame:
    return cohort[cohort["label"].isin(LABELS)]


def changed(old: pd.DataFrame, shift: float) -> pd.DataFrame:
    """A new model: a little noise for all, and nodules of women score lower by ``shift`` logits."""
    rng = np.random.default_rng(1)
    position = logit(old["score"].clip(1e-4, 1 - 1e-4)) + rng.normal(0, 0.05, len(old))
    hit = (old["label"] == "Nodule") & (old["sex"] == "F") & (old["target"] == 1)
    return old.assign(score=expit(position - shift * hit))


def compared(old: pd.DataFrame, new: pd.DataFrame, config: AuditConfig = CONFIG) -> Changes:
    tables = [table_of(frame, name) for frame, name in ((old, "old.csv"), (new, "new.csv"))]
    axes = [choose_axes(["sex", "site"], table.groups, (18,), skip_absent=False) for table in tables]
    return compare(*tables, (axes[0], axes[1]), config)


@pytest.fixture(scope="module")
def grown(old: pd.DataFrame) -> Changes:
    return compared(old, changed(old, 2.5))


def test_a_gap_that_grew_is_found_and_no_other(grown: Changes) -> None:
    widened = grown.gaps[grown.gaps["verdict"] == "widened"]
    assert set(widened["label"]) == {"Nodule"}
    assert {("F", "sensitivity"), ("F", "auroc")} <= set(zip(widened["stratum"], widened["metric"], strict=True))
    assert set(widened["axis"]) == {"sex"}
    everyone = grown.figures[(grown.figures["axis"] == "all") & (grown.figures["metric"] == "sensitivity")]
    assert everyone.set_index("label")["verdict"].to_dict()["Nodule"] == "worse"
    assert (grown.figures.loc[grown.figures["metric"] == "brier", "verdict"].isna()).all()
    values = change_quantities(grown)
    assert values["widened"] == len(widened)
    assert 0.05 < values["sure_widening:sensitivity"] <= values["widening:sensitivity"]


def test_figures_are_those_of_either_table(grown: Changes, old: pd.DataFrame) -> None:
    row = grown.figures.set_index(["stratum", "label", "metric"]).loc[("F", "Nodule", "sensitivity")]
    for frame, name in ((old, "old"), (changed(old, 2.5), "new")):
        here = frame[(frame["sex"] == "F") & (frame["label"] == "Nodule") & (frame["target"] == 1)]
        assert row[name] == pytest.approx((here["score"] >= 0.5).mean())
    assert row["change"] == pytest.approx(row["new"] - row["old"])
    assert row["ci_low"] < row["change"] < row["ci_high"]


def test_the_same_model_twice_changes_nothing(old: pd.DataFrame) -> None:
    same = compared(old, old)
    assert (same.gaps["change"].dropna() == 0).all()
    assert not same.gaps["verdict"].isin(["widened", "narrowed", "shifted"]).any()
    assert change_quantities(same)["widened"] == 0


def test_row_order_changes_nothing(old: pd.DataFrame) -> None:
    new = changed(old, 1.0)
    plain, mixed = compared(old, new), compared(old.sample(frac=1, random_state=2), new.iloc[::-1])
    pd.testing.assert_frame_equal(plain.gaps, mixed.gaps)
    pd.testing.assert_frame_equal(plain.figures, mixed.figures)


def test_one_patient_less_changes_the_groups_that_held_the_patient(old: pd.DataFrame) -> None:
    new = changed(old, 1.0)
    man = new.loc[(new["sex"] == "M") & (new["target"] == 1) & (new["label"] == "Nodule"), "patient_id"].iloc[0]
    before, after = (
        compared(old, one).figures.query("axis == 'sex'").set_index(["stratum", "label", "metric"]).sort_index()
        for one in (new, new[new["patient_id"] != man])
    )
    fewer = before["n_patients_new"] - after["n_patients_new"]
    assert (fewer.loc["M", "Nodule"] == 1).all()
    assert (fewer.loc["F"] == 0).all()
    known = before["status"] == "ok"
    moved = before[["old", "new"]] != after[["old", "new"]]
    assert not moved.loc[known, "old"].any()
    assert moved.loc[("M", "Nodule", "sensitivity"), "new"]
    assert not moved.loc[known, "new"].loc["F"].any()


def test_paired_intervals_are_narrower_than_those_of_other_patients(old: pd.DataFrame) -> None:
    new = changed(old, 0.0)
    strangers = new.assign(patient_id="x" + new["patient_id"], sample_id="x" + new["sample_id"])
    paired, apart = compared(old, new), compared(old, strangers)
    assert apart.shared_patients == 0
    assert "independent samples" in pairing(apart)
    assert paired.shared_patients == old["patient_id"].nunique()
    width = [(one.gaps["ci_high"] - one.gaps["ci_low"]).median() for one in (paired, apart)]
    assert width[0] < width[1] / 2
    assert paired.gaps["verdict"].isin(["unchanged"]).sum() > apart.gaps["verdict"].isin(["unchanged"]).sum()


def test_unpaired_errors_add_up(old: pd.DataFrame) -> None:
    strangers = old.assign(patient_id="x" + old["patient_id"], sample_id="x" + old["sample_id"])
    config = AuditConfig(recipe=CONFIG.recipe.model_copy(update={"bootstraps": 800, "metrics": ("sensitivity",)}))
    row = compared(old, strangers, config).figures.iloc[0]
    here = old[(old["label"] == row["label"]) & (old["target"] == 1)]
    by_patient = here.assign(called=here["score"] >= 0.5).groupby("patient_id")["called"].agg(["sum", "size"])
    share = by_patient["sum"].sum() / by_patient["size"].sum()
    error = np.sqrt(((by_patient["sum"] - share * by_patient["size"]) ** 2).sum()) / by_patient["size"].sum()
    assert (row["ci_high"] - row["ci_low"]) / 2 / 1.98 == pytest.approx(np.sqrt(2) * error, rel=0.1)


def test_tables_that_have_nothing_in_common_are_refused(old: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="no label in common"):
        compared(old, old[old["label"] == "Nodule"].assign(label="Hernia"))


def test_the_artifact_follows_its_layout(grown: Changes, tmp_path: Path) -> None:
    write_comparison(grown, tmp_path)
    assert len(CHANGES.read(tmp_path / "changes.parquet")) == len(grown.figures)
    assert len(GAP_CHANGES.read(tmp_path / "gap_changes.parquet")) == len(grown.gaps)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["quantities"]["widened"] > 0
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "◆&nbsp;widened" in html
    assert "http" not in html.replace("http-equiv", "")


def test_the_command_ends_with_3_where_a_gap_widened(old: pd.DataFrame, tmp_path: Path) -> None:
    old.to_csv(tmp_path / "old.csv", index=False)
    changed(old, 2.5).to_csv(tmp_path / "new.csv", index=False)
    words = ["audit", "compare", str(tmp_path / "old.csv"), str(tmp_path / "new.csv"), "--by", "sex"]
    quick = ["--set", "recipe.bootstraps=100", "--set", "recipe.metrics=[sensitivity]"]
    assert run([*words, *quick, "--out", str(tmp_path / "c"), "--fail-on", "widened>0"]) == 3
    header = json.loads((tmp_path / "c" / "artifact.json").read_text())
    assert header["schema"] == "audit_comparison"
    assert set(header["inputs"]) == {"old: old.csv", "new: new.csv"}
    assert run([*words, *quick, "--out", str(tmp_path / "d"), "--fail-on", "flagged>0"]) == 2
