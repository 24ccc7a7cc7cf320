"""Methods agree with plain loops and with fairlearn; a planted gap narrows, and the cost is told; nothing leaks."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import equalized_odds_difference
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from bias_audit.axes import choose_axes
from bias_audit.inputs import read_table, table_of
from bias_audit.mitigation import Mitigation, mitigate
from bias_audit.planted import Simulation, simulate
from bias_audit.settings import AuditConfig, Recipe
from bias_audit.treatments import (
    METHODS,
    GroupedFilms,
    called_as,
    equalized_odds,
    group_calibration,
    group_thresholds,
    nearest_threshold,
)
from raydino.artifacts.audit import MITIGATED, MITIGATED_GAPS, TREATMENTS
from raydino.cli import run
from raydino.errors import UserError

CONFIG = AuditConfig(recipe=Recipe(bootstraps=150, by=("sex",)))


def cohort(seed: int, patients: int = 2000) -> pd.DataFrame:
    """Nodules of women score two logits lower; patients carry the seed in their names."""
    frame = simulate(Simulation(patients=patients, prevalence=0.3, unknown=0.005), np.random.default_rng(seed))
    frame = frame[frame["label"].isin(["Nodule", "No Finding"])]
    women = (frame["label"] == "Nodule") & (frame["sex"] == "F")
    score = expit(logit(frame["score"].clip(1e-4, 1 - 1e-4)) - 2 * women)
    names = {name: frame[name] + f"-{seed}" for name in ("patient_id", "sample_id")}
    return frame.assign(score=score.round(6), **names)


@pytest.fixture(scope="module")
def found() -> Mitigation:
    tables = table_of(cohort(1), "val.csv"), table_of(cohort(2), "test.csv")
    axes = [choose_axes(["sex"], table.groups, (18,), skip_absent=False) for table in tables]
    return mitigate(*tables, (axes[0], axes[1]), CONFIG, list(METHODS.plugins()))


def films(seed: int, n: int = 600) -> GroupedFilms:
    rng = np.random.default_rng(seed)
    group = np.where(rng.random(n) < 0.5, "F", "M").astype(object)
    target = (rng.random(n) < 0.4).astype(float)
    score = expit(2 * target - 1 - 1.5 * (group == "F") + rng.normal(0, 1, n)).round(3)
    return GroupedFilms(target, score, np.full(n, 0.5), group)


def test_a_planted_gap_narrows_and_the_cost_is_told(found: Mitigation) -> None:
    gaps = found.gaps.set_index(["method", "label", "metric", "stratum"])
    for method in ("group_thresholds", "equal_opportunity", "equalized_odds"):
        row = gaps.loc[(method, "Nodule", "sensitivity", "F")]
        assert row["old"] < -0.3
        assert abs(row["new"]) < 0.08
        assert row["verdict"] == "narrowed"
        assert row["ci_low"] < row["change"] < row["ci_high"]
    assert abs(gaps.loc[("equalized_odds", "Nodule", "specificity", "F"), "new"]) < 0.08
    everyone = found.changes[found.changes["axis"] == "all"].set_index(["method", "label", "metric"])
    for metric in ("sensitivity", "specificity", "balanced_accuracy", "auroc", "brier"):
        assert np.isfinite(everyone.loc[("group_thresholds", "Nodule", metric), "change"])
    assert everyone.loc[("group_thresholds", "Nodule", "auroc"), "change"] == 0  # scores are untouched
    assert everyone.loc[("group_calibration", "Nodule", "brier"), "change"] < 0
    assert everyone.loc[("group_calibration", "Nodule", "auroc"), "change"] > 0.02
    untouched = found.gaps[(found.gaps["label"] == "No Finding") & (found.gaps["status"] == "ok")]
    assert not (untouched["verdict"] == "widened").any()


def test_fitted_on_validation_alone_and_small_groups_left(found: Mitigation) -> None:
    told = found.treatments.set_index(["method", "label", "group"])
    few = told.loc[("group_thresholds", "Nodule", "UNKNOWN")]
    assert few["status"] == "too_few"
    assert "left as it was" in few["reason"]
    test = table_of(cohort(2), "test.csv")
    unknown = (test.films["sex"] == "UNKNOWN").to_numpy()[test.rows["film"]]
    for name in ("group_thresholds", "equalized_odds"):
        columns = ["score", "threshold"]
        pd.testing.assert_frame_equal(found.tables[name].rows.loc[unknown, columns], test.rows.loc[unknown, columns])
    axes = choose_axes(["sex"], test.groups, (18,), skip_absent=False)
    blind = table_of(cohort(2).assign(target=np.nan).assign(target=lambda f: np.arange(len(f)) % 2), "test.csv")
    again = mitigate(table_of(cohort(1), "val.csv"), blind, (axes, axes), CONFIG, ["group_thresholds"])
    pd.testing.assert_series_equal(  # whatever the test labels say
        again.tables["group_thresholds"].rows["threshold"], found.tables["group_thresholds"].rows["threshold"]
    )
    with pytest.raises(UserError, match="patients are in both tables"):
        mitigate(test, test, (axes, axes), CONFIG, ["group_thresholds"])


def test_thresholds_are_those_of_a_plain_search() -> None:
    one = films(3)
    for rate, cls in (("true_positive_rate", 1), ("false_positive_rate", 0)):
        fitted = group_thresholds(one, ["F", "M"], rate, 0)  # type: ignore[arg-type]
        _, threshold = fitted.apply(one)
        wanted = (one.score[one.target == cls] >= 0.5).mean()
        for group in "FM":
            inside = (one.group == group) & (one.target == cls)
            score = one.score[inside]
            best = min(abs((score >= cut).mean() - wanted) for cut in [*np.unique(score), 1.1])
            assert abs((score >= threshold[inside]).mean() - wanted) == pytest.approx(best)
    same = films(4).of("M")
    assert (same.score >= nearest_threshold(same, 1.0)).all()
    assert nearest_threshold(same, float((same.score >= 0.5).mean())) == pytest.approx(0.5, abs=0.01)


def test_calibration_is_scikit_learns_line_by_group() -> None:
    one = films(5)
    score, threshold = group_calibration(one, ["F", "M"], "true_positive_rate", 0).apply(one)
    for group in "FM":
        mine = one.of(group)
        x = logit(mine.score.clip(1e-6, 1 - 1e-6))[:, None]
        expected = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(x, mine.target).predict_proba(x)[:, 1]
        assert score[one.group == group] == pytest.approx(expected, abs=1e-4)
    assert len(np.unique(threshold)) == 1
    with pytest.raises(UserError, match="no line"):
        group_calibration(one.where(one.target == 1), ["F", "M"], "true_positive_rate", 0)


def test_equalized_odds_hold_as_fairlearn_counts_them() -> None:
    one = films(6, 3000)
    score, threshold = equalized_odds(one, ["F", "M"], "true_positive_rate", 0).apply(one)
    called = (score >= threshold).astype(int)
    before = equalized_odds_difference(one.target, one.score >= one.threshold, sensitive_features=one.group)
    after = equalized_odds_difference(one.target, called, sensitive_features=one.group)
    assert after < 0.06 < before
    again = equalized_odds(one, ["F", "M"], "true_positive_rate", 0).apply(one)
    assert (again[0] == score).all()


def test_calls_are_kept_whatever_the_score() -> None:
    score = np.array([0.0, 0.3, 1.0, 0.0, 0.3, 1.0])
    called = np.arange(6) < 3
    new, threshold = called_as(score, called)
    assert ((new >= threshold) == called).all()
    assert new == pytest.approx(score)
    assert ((threshold >= 0) & (threshold <= 1)).all()


def test_the_command_writes_a_page_and_tables_for_a_full_audit(tmp_path: Path) -> None:
    for name, seed in (("val", 1), ("test", 2)):
        cohort(seed, 300).to_csv(tmp_path / f"{name}.csv", index=False)
    words = ["audit", "mitigate", str(tmp_path / "val.csv"), str(tmp_path / "test.csv"), "--by", "sex"]
    words += ["--set", "recipe.bootstraps=100", "--method", "group_thresholds"]
    assert run([*words, "--out", str(tmp_path / "out")]) == 0
    assert (MITIGATED.read(tmp_path / "out" / "changes.parquet")["method"] == "group_thresholds").all()
    assert len(MITIGATED_GAPS.read(tmp_path / "out" / "gap_changes.parquet"))
    assert "called from a score" in str(TREATMENTS.read(tmp_path / "out" / "treatments.parquet")["setting"].tolist())
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "group at the time of decision" in report["warning"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Gain and cost" in page
    assert "group at the time of decision" in page
    assert len(read_table(tmp_path / "out" / "group_thresholds.parquet").films)
    assert run([*words, "--method", "magic", "--out", str(tmp_path / "other")]) == 2
