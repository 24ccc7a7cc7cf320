"""The audit as a whole: it adds up, ignores row order, and says what cannot be said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from bias_audit.audit import AuditResult, audit
from bias_audit.axes import choose_axes
from bias_audit.inputs import table_of
from bias_audit.metrics import metrics_for
from bias_audit.settings import AuditConfig, Recipe
from raydino.errors import UserError

CONFIG = AuditConfig(recipe=Recipe(bootstraps=120))


def run(frame: pd.DataFrame, *by: str, config: AuditConfig = CONFIG) -> AuditResult:
    table = table_of(frame)
    return audit(table, choose_axes(by, table.groups, (18, 40, 60, 80), skip_absent=False), config)


@pytest.fixture(scope="module")
def result(cohort: pd.DataFrame) -> AuditResult:
    return run(cohort, "sex", "age", "site")


def test_counts_of_each_axis_add_up_to_the_rows_of_each_label(result: AuditResult, cohort: pd.DataFrame) -> None:
    known = cohort.groupby("label")["target"].agg(["count", "size", "sum"])
    table = result.strata
    sums = table.groupby(["axis", "label", "metric"])[["n_images", "n_positive", "n_unknown"]].sum()
    for (_, label, _), row in sums.iterrows():
        assert row["n_images"] == known.loc[label, "count"]
        assert row["n_positive"] == known.loc[label, "sum"]
        assert row["n_images"] + row["n_unknown"] == known.loc[label, "size"]
    assert result.cohort.groupby("axis")["n_images"].sum().eq(cohort["sample_id"].nunique()).all()


def test_every_stratum_has_a_row_for_every_metric_and_unknown_is_among_them(result: AuditResult) -> None:
    per_label = result.strata.groupby("label")["metric"].agg(lambda names: len(set(names)))
    names = CONFIG.recipe.metrics
    for label, count in per_label.items():
        assert count == len(metrics_for(names, "classification", str(label), "No Finding"))
    assert len(result.strata) == len(result.index) * per_label.sum()
    assert ((result.strata["axis"] == "sex") & (result.strata["stratum"] == "UNKNOWN")).any()


def test_everyone_has_the_plain_auroc_inside_its_interval(result: AuditResult, cohort: pd.DataFrame) -> None:
    rows = result.strata[(result.strata["axis"] == "all") & (result.strata["metric"] == "auroc")]
    for _, row in rows.iterrows():
        frame = cohort[(cohort["label"] == row["label"]) & cohort["target"].notna()]
        assert row["estimate"] == pytest.approx(roc_auc_score(frame["target"], frame["score"]), abs=1e-6)
        assert row["ci_low"] < row["estimate"] < row["ci_high"]


def test_row_order_changes_nothing(result: AuditResult, cohort: pd.DataFrame) -> None:
    shuffled = run(cohort.sample(frac=1, random_state=1), "sex", "age", "site")
    pd.testing.assert_frame_equal(result.strata, shuffled.strata)
    pd.testing.assert_frame_equal(result.gaps, shuffled.gaps)
    pd.testing.assert_frame_equal(result.fairness, shuffled.fairness)
    pd.testing.assert_frame_equal(result.spreads, shuffled.spreads)


def test_another_seed_moves_intervals_but_no_estimate(result: AuditResult, cohort: pd.DataFrame) -> None:
    other = run(cohort, "sex", "age", "site", config=AuditConfig(recipe=Recipe(bootstraps=120, seed=1)))
    pd.testing.assert_series_equal(result.strata["estimate"], other.strata["estimate"])
    assert (result.strata["ci_low"].dropna() != other.strata["ci_low"].dropna()).any()


def test_a_figure_exists_exactly_where_the_status_is_ok(result: AuditResult) -> None:
    for table in (result.strata, result.gaps):
        ok = table["status"] == "ok"
        assert table.loc[ok, ["estimate", "ci_low", "ci_high"]].notna().all(axis=None)
        assert table.loc[~ok, ["estimate", "ci_low", "ci_high"]].isna().all(axis=None)
        assert table.loc[~ok, "reason"].notna().all()
        assert table.loc[ok, "reason"].isna().all()
    assert {"ok", "too_few"} <= set(result.strata["status"])


def test_an_all_positive_stratum_is_undefined_and_the_rest_goes_on(cohort: pd.DataFrame) -> None:
    frame = cohort.copy()
    frame.loc[(frame["sex"] == "F") & frame["target"].notna(), "target"] = 1.0
    strata = run(frame, "sex").strata.set_index(["stratum", "label", "metric"])
    for metric in ("auroc", "specificity"):
        row = strata.loc[("F", "Nodule", metric)]
        assert (row["status"], row["reason"]) == ("undefined", "every film has the finding")
        assert np.isnan(row["estimate"])
        assert strata.loc[("M", "Nodule", metric), "status"] == "ok"
    assert strata.loc[("F", "Nodule", "sensitivity"), "status"] == "ok"


def test_a_table_of_one_class_is_undefined_not_zero(cohort: pd.DataFrame) -> None:
    result = run(cohort.assign(target=1.0), "sex")
    auroc = result.strata[result.strata["metric"] == "auroc"]
    assert set(auroc["status"]) == {"undefined"}
    assert auroc["estimate"].isna().all()
    assert not result.gaps["flagged"].any()


def test_an_axis_of_one_stratum_has_nobody_to_compare_with(cohort: pd.DataFrame) -> None:
    gaps = run(cohort.assign(site="A"), "site").gaps
    assert set(gaps["status"]) == {"undefined"}
    assert set(gaps["reason"]) == {"there is nobody else to compare with"}


def test_correlated_films_widen_the_interval(cohort: pd.DataFrame) -> None:
    one = cohort[cohort["label"] == "Nodule"].drop_duplicates("patient_id")
    copies = pd.concat([one.assign(sample_id=one["sample_id"] + suffix) for suffix in "abcd"])
    width = {}
    for name, frame in (("once", one), ("copied", copies)):
        row = run(frame, "sex").strata.query("axis == 'all' and metric == 'sensitivity'").iloc[0]
        width[name] = row["ci_high"] - row["ci_low"]
    assert width["copied"] == pytest.approx(width["once"], rel=0.1)  # four copies of a film are one answer


def test_one_patient_more_changes_the_strata_that_hold_the_patient(cohort: pd.DataFrame) -> None:
    config = AuditConfig(recipe=Recipe(bootstraps=100, metrics=("auroc", "sensitivity", "auprc", "ece")))
    newcomer = cohort[cohort["sample_id"] == cohort["sample_id"].iloc[0]].assign(
        sample_id="new", patient_id="newcomer", sex="F", target=1.0, score=0.01
    )
    before = run(cohort, "sex", config=config).strata.set_index(["stratum", "label", "metric"]).sort_index()
    after = (
        run(pd.concat([cohort, newcomer]), "sex", config=config)
        .strata.set_index(["stratum", "label", "metric"])
        .sort_index()
    )
    moved = (before["estimate"] != after["estimate"]) & before["estimate"].notna()
    assert set(moved[moved].index.get_level_values("stratum")) == {"all", "F"}
    assert (after.loc["F", "n_patients"] == before.loc["F", "n_patients"] + 1).all()
    assert (after.loc["M", "n_patients"] == before.loc["M", "n_patients"]).all()
    sensitivity = moved.xs("sensitivity", level="metric")
    assert sensitivity[["all", "F"]].all()


def test_gaps_against_a_reference_and_the_spread_of_an_axis(cohort: pd.DataFrame) -> None:
    recipe = Recipe(bootstraps=120, metrics=("auroc", "sensitivity"), reference={"site": "Harbour Hospital"})
    result = run(cohort, "sex", "site", config=AuditConfig(recipe=recipe))
    strata = result.strata.set_index(["stratum", "label", "metric"])["estimate"]
    assert set(result.references["axis"]) == {"site"}
    assert "Harbour Hospital" not in set(result.references["stratum"])
    for _, row in result.references.iterrows():
        key = (row["label"], row["metric"])
        assert row["estimate"] == strata[(row["stratum"], *key)]
        assert row["gap"] == pytest.approx(row["estimate"] - strata[("Harbour Hospital", *key)])
        assert row["ci_low"] < row["gap"] < row["ci_high"]
        assert row["verdict"] in ("different", "equivalent", "undecided")
    spread = result.spreads.set_index(["axis", "label", "metric"]).loc[("site", "Nodule", "sensitivity")]
    of_site = [strata[(site, "Nodule", "sensitivity")] for site in sorted(set(cohort["site"]))]
    assert spread["difference"] == pytest.approx(max(of_site) - min(of_site))
    assert spread["ratio"] == pytest.approx(min(of_site) / max(of_site))
    assert spread["worst"] == spread["lowest"]
    with pytest.raises(UserError, match="the axis 'site' has no stratum 'Harbor'.*Harbour Hospital"):
        run(cohort, "site", config=AuditConfig(recipe=Recipe(reference={"site": "Harbor"})))


def test_each_gap_has_a_verdict_and_says_what_could_have_been_shown(result: AuditResult) -> None:
    ok = result.gaps["status"] == "ok"
    assert result.gaps.loc[ok, "verdict"].isin(["different", "equivalent", "undecided"]).all()
    assert result.gaps.loc[~ok, "verdict"].isna().all()
    flagged = result.gaps[result.gaps["flagged"]]
    assert (flagged["verdict"] == "different").all()
    assert (result.gaps.loc[ok, "detectable"] > 2 * result.gaps.loc[ok, "se"]).all()


def test_the_permutation_check_agrees_about_what_is_sure(cohort: pd.DataFrame) -> None:
    recipe = Recipe(bootstraps=100, metrics=("sensitivity",), permutations=99)
    gaps = run(cohort[cohort["label"] == "Pleural Effusion"], "sex", "site", config=AuditConfig(recipe=recipe)).gaps
    assert gaps.loc[gaps["flagged"], "p_permutation"].max() <= 0.02
    assert gaps.loc[gaps["p_value"] > 0.5, "p_permutation"].min() > 0.2


def test_suppressed_strata_show_no_figure_in_any_table(cohort: pd.DataFrame) -> None:
    recipe = Recipe(bootstraps=100, metrics=("auroc", "sensitivity"), suppress_below=30, reference={"sex": "F"})
    result = run(cohort, "sex", "age", config=AuditConfig(recipe=recipe))
    hidden = result.strata["status"] == "suppressed"
    counts = ["n_images", "n_patients", "n_positive", "n_positive_patients", "n_unknown"]
    assert hidden.any()
    assert result.strata.loc[hidden, [*counts, "estimate", "ci_low", "ci_high"]].isna().all(axis=None)
    assert result.strata.loc[~hidden, counts].notna().all(axis=None)
    assert (result.strata.loc[~hidden, "n_patients"] >= 30).all()
    for table in (result.gaps, result.references):
        of_hidden = table[table["status"] == "suppressed"]
        assert of_hidden[["estimate", "rest", "gap", "ci_low", "p_value"]].isna().all(axis=None)
    assert result.cohort["n_patients"].isna().any()
    for axis, rows in result.strata[result.strata["metric"] == "auroc"].groupby(["axis", "label"]):
        assert (rows["status"] == "suppressed").sum() != 1, axis  # one alone is the total less the others
    with pytest.raises(UserError, match="fewer than recipe.suppress_below"):
        run(cohort, "sex", config=AuditConfig(recipe=Recipe(suppress_below=100_000)))


def test_crossings_go_to_any_depth(cohort: pd.DataFrame) -> None:
    config = AuditConfig(recipe=Recipe(bootstraps=100, metrics=("sensitivity",), depth=3))
    strata = run(cohort[cohort["label"] == "Nodule"], "sex", "age", "site", config=config).strata
    three = strata[strata["axis"] == "sex × age × site"]
    assert three["n_images"].sum() == strata["n_images"].iloc[0]
    assert "F × 40–59 × Lakeside Clinic" in set(three["stratum"])


def test_masks_are_audited_by_overlap_and_distance() -> None:
    rng = np.random.default_rng(0)
    n = 300
    sex = rng.choice(["F", "M"], n)
    base = table_of(pd.DataFrame({"patient_id": np.arange(n), "label": "lungs", "target": 1, "score": 1.0, "sex": sex}))
    known = rng.random(n) < 0.9
    women = base.films["sex"].to_numpy() == "F"
    dice = np.where(women, 0.80, 0.92) + rng.normal(0, 0.03, n)
    distance = np.where(rng.random(n) < 0.3, np.nan, np.where(women, 14.0, 8.0) + rng.normal(0, 2, n))
    rows = base.rows.assign(threshold=0.0, known=known)
    for name, values in {"dice": dice, "iou": dice / (2 - dice), "hd95_mm": distance, "assd_mm": distance / 4}.items():
        rows[name] = np.where(known, values[base.rows["film"]], np.nan)
    result = audit(
        replace(base, task="segmentation", rows=rows),
        choose_axes(["sex"], base.groups, (18,), skip_absent=False),
        CONFIG,
    )
    of_women = result.gaps[result.gaps["stratum"] == "F"].set_index("metric")
    assert of_women["flagged"].all()
    assert set(of_women.index) == {"dice", "hd95_mm", "assd_mm"}  # IoU says the same as Dice
    assert of_women.loc["dice", "gap"] == pytest.approx(-0.12, abs=0.015)
    assert of_women.loc["hd95_mm", "gap"] == pytest.approx(6, abs=1)
    assert (of_women["direction"] == "worse").all()
    assert set(result.strata["metric"]) == {"dice", "iou", "hd95_mm", "assd_mm"}
    assert result.strata.iloc[0]["n_unknown"] == (~known).sum()
    assert result.fairness.empty
