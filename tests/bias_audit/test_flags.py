"""Benjamini–Hochberg by hand, planted bias found, its shadows named, clean strata left alone."""

import numpy as np
import pandas as pd
import pytest

from bias_audit.audit import AuditResult, audit
from bias_audit.axes import choose_axes
from bias_audit.flags import adjusted_p_values, benjamini_hochberg, questions
from bias_audit.inputs import table_of
from bias_audit.planted import PLANTED_LABEL, Simulation, simulate
from bias_audit.settings import AuditConfig, Recipe

QUICK = AuditConfig(recipe=Recipe(bootstraps=100, metrics=("auroc", "sensitivity", "specificity")))


def run(frame: pd.DataFrame, *by: str) -> AuditResult:
    table = table_of(frame)
    axes = choose_axes(by or ("sex", "age", "site"), table.groups, (18, 40, 60, 80), skip_absent=False)
    return audit(table, axes, QUICK)


def test_benjamini_hochberg_by_hand() -> None:
    # sorted: .01 .02 .03 .5 → ×4/rank: .04 .04 .04 .5, and NaN is no test
    adjusted = benjamini_hochberg(np.array([0.03, np.nan, 0.5, 0.01, 0.02]))
    assert adjusted == pytest.approx([0.04, np.nan, 0.5, 0.04, 0.04], nan_ok=True)
    # the monotone step: .04 × 4/3 = .0533 is capped by the next, .045 × 4/4
    assert benjamini_hochberg(np.array([0.001, 0.01, 0.04, 0.045])) == pytest.approx([0.004, 0.02, 0.045, 0.045])
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


def test_two_strata_that_mirror_each_other_are_one_test() -> None:
    axes = ["sex", "sex", "site", "site", "site"]
    gaps = pd.DataFrame({"label": "x", "metric": "auroc", "axis": axes, "p_value": [0.01, 0.01, 0.03, 0.5, np.nan]})
    # three tests: .01 × 3/1, .03 × 3/2, .5 × 3/3
    assert questions(gaps).tolist() == [1, 1, 2, 3, 4]
    assert adjusted_p_values(gaps["p_value"], questions(gaps)).to_numpy() == pytest.approx(
        [0.03, 0.03, 0.045, 0.5, np.nan], nan_ok=True
    )


@pytest.mark.parametrize("seed", range(4))
def test_planted_bias_is_found_and_named_and_clean_strata_are_not_flagged(seed: int) -> None:
    result = run(simulate(Simulation(patients=900, shift=2.5), np.random.default_rng(seed)))
    flagged = result.gaps[result.gaps["flagged"]]
    roots = flagged[flagged["explained_by"].isna()]
    cell = (flagged["axis"] == "sex × site") & (flagged["stratum"] == "F × Lakeside Clinic")
    assert "sensitivity" in set(flagged["metric"][cell])
    assert set(roots["stratum"]) == {"F × Lakeside Clinic"}
    assert set(flagged["label"]) == {PLANTED_LABEL}
    for stratum in flagged["stratum"]:  # each flagged stratum holds films of the planted one
        parts = set(stratum.split(" × "))
        assert not parts & {"M", "UNKNOWN", "Harbour Hospital", "Northern Institute"}


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_flagged_where_nothing_was_planted(seed: int) -> None:
    result = run(simulate(Simulation(patients=500), np.random.default_rng(100 + seed)), "sex", "site")
    assert not result.gaps["flagged"].any()


def test_a_bias_of_one_sex_is_traced_to_the_sex_and_not_to_its_mirror() -> None:
    frame = simulate(Simulation(patients=700), np.random.default_rng(0))
    women = (frame["sex"] == "F") & (frame["label"] == "Nodule") & (frame["target"] == 1)
    frame.loc[women, "score"] = (frame.loc[women, "score"] * 0.5).round(4)
    result = run(frame, "sex", "site")
    of_label = result.gaps[(result.gaps["label"] == "Nodule") & (result.gaps["metric"] == "sensitivity")]
    flagged = of_label[of_label["flagged"]].set_index("stratum")
    assert flagged.loc["F", "explained_by"] is None
    assert "M" not in flagged.index
    assert set(flagged["explained_by"].dropna()) == {"sex: F"}


def test_a_gap_below_the_margin_is_not_flagged_however_sure() -> None:
    rng = np.random.default_rng(1)
    n = 60_000
    sex = rng.choice(["F", "M"], n)
    called = rng.random(n) < np.where(sex == "F", 0.80, 0.83)
    target = np.ones(n)
    target[:200] = 0
    frame = pd.DataFrame(
        {"patient_id": np.arange(n), "label": "Nodule", "target": target, "score": called * 1.0, "sex": sex}
    )
    gap = run(frame, "sex").gaps.set_index(["stratum", "metric"]).loc[("F", "sensitivity")]
    assert gap["p_adjusted"] < 1e-6
    assert not gap["flagged"]


def test_a_site_that_fares_better_is_flagged_and_the_others_are_its_mirror() -> None:
    frame = simulate(Simulation(patients=700), np.random.default_rng(2))
    elsewhere = (frame["site"] != "Northern Institute") & (frame["label"] == "Nodule") & (frame["target"] == 1)
    frame.loc[elsewhere, "score"] = (frame.loc[elsewhere, "score"] * 0.6).round(4)
    result = run(frame, "sex", "site")
    flagged = result.gaps[result.gaps["flagged"] & (result.gaps["metric"] == "sensitivity")].set_index("stratum")
    assert flagged.loc["Northern Institute", "direction"] == "better"
    assert set(flagged["direction"]) == {"better"}
    assert not {"Harbour Hospital", "Lakeside Clinic"} & set(flagged.index)
