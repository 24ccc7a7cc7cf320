"""The audit as a whole: it adds up, ignores row order, and says what cannot be said."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from bias_audit.audit import AuditResult, audit
from bias_audit.axes import choose_axes
from bias_audit.inputs import table_of
from bias_audit.settings import AuditConfig, Recipe

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
    per_label = result.strata.groupby("label")["metric"].nunique()
    assert set(per_label) == {6}
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


def test_dice_by_stratum_finds_a_worse_group() -> None:
    from dataclasses import replace

    rng = np.random.default_rng(0)
    n = 300
    sex = rng.choice(["F", "M"], n)
    base = table_of(pd.DataFrame({"patient_id": np.arange(n), "label": "lungs", "target": 1, "score": 1.0, "sex": sex}))
    known = rng.random(n) < 0.9
    dice = np.where(base.films["sex"] == "F", 0.80, 0.92) + rng.normal(0, 0.03, n)
    rows = base.rows.assign(dice=np.where(known, dice[base.rows["film"]], np.nan), known=known)
    table = replace(base, task="segmentation", rows=rows)
    result = audit(table, choose_axes(["sex"], table.groups, (18,), skip_absent=False), CONFIG)
    women = result.gaps.set_index("stratum").loc["F"]
    assert women["flagged"]
    assert women["gap"] == pytest.approx(-0.12, abs=0.015)
    assert set(result.strata["metric"]) == {"dice"}
    assert result.strata.iloc[0]["n_unknown"] == (~known).sum()
