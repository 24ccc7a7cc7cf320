"""Weights that make a mix equal, against scikit-learn; a gap that is all case mix vanishes, a true one stays."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from bias_audit.audit import audit
from bias_audit.axes import choose_axes
from bias_audit.case_mix import INSIDE, REST, match
from bias_audit.inputs import table_of
from bias_audit.intervals import patient_multiplicities
from bias_audit.metrics import metric_named
from bias_audit.replicates import replicate_all
from bias_audit.rows import LabelRows, Rows
from bias_audit.settings import AuditConfig, Recipe
from raydino.errors import UserError


def test_the_rest_gets_the_mix_of_the_stratum_and_figures_are_weighted() -> None:
    rng = np.random.default_rng(0)
    n = 600
    inside = rng.random(n) < 0.3
    cell = np.where(inside, rng.choice(5, n, p=[0.5, 0.3, 0.1, 0.1, 0]), rng.choice(5, n, p=[0.1, 0.3, 0.3, 0, 0.3]))
    score = np.sort(rng.integers(0, 30, n) / 30)
    target = (rng.random(n) < 0.2 + 0.5 * score).astype(float)
    rows = Rows(target, score, np.full(n, 0.5))
    data = LabelRows(rows, rng.integers(0, 200, n), np.zeros((n, 1), int), 1)
    matched = match(data, cell, inside)
    assert matched is not None
    shared = np.isin(cell, [0, 1, 2])  # cell 3 only the stratum has, cell 4 only the rest
    assert matched.kept == pytest.approx((inside & shared).sum() / inside.sum())
    assert matched.kept_rest == pytest.approx((~inside & shared).sum() / (~inside).sum())
    side, weight = matched.data.member[:, 1], matched.data.weight
    assert weight is not None
    for k in (0, 1, 2):
        of_cell = cell[shared] == k
        assert weight[of_cell & (side == REST)].sum() == pytest.approx((of_cell & (side == INSIDE)).sum())
    other = weight[side == REST]
    assert matched.effective_rest == pytest.approx(other.sum() ** 2 / (other**2).sum())

    metrics = [metric_named(name) for name in ("auroc", "auprc", "sensitivity", "brier")]
    weights = patient_multiplicities(200, 3, np.random.default_rng(1))
    found = replicate_all(matched.data, metrics, weights, np.ones(3, bool), 2)
    rest = side == REST
    y, s = matched.data.rows.target[rest], matched.data.rows.score[rest]
    for column in range(4):
        w = other * weights[matched.data.patient[rest], column]
        expected = {
            "auroc": roc_auc_score(y, s, sample_weight=w),
            "auprc": average_precision_score(y, s, sample_weight=w),
            "sensitivity": np.average(s[y == 1] >= 0.5, weights=w[y == 1]),
            "brier": np.average((s - y) ** 2, weights=w),
        }
        for name, value in expected.items():
            assert found[name].inside[REST, column] == pytest.approx(value)
    auroc = found["auroc"]  # the rest of one side is the other, weighted too
    assert auroc.rest[INSIDE] == pytest.approx(auroc.inside[REST])


def test_nobody_alike_is_no_comparison() -> None:
    rows = Rows(np.ones(4), np.arange(4) / 4, np.zeros(4))
    data = LabelRows(rows, np.arange(4), np.zeros((4, 1), int), 1)
    assert match(data, np.array([0, 0, 1, 1]), np.array([True, True, False, False])) is None


def cohort(true_gap: float, n: int = 4000) -> pd.DataFrame:
    """Old patients are harder, and men are older; women are missed more often by ``true_gap``."""
    rng = np.random.default_rng(3)
    sex = rng.choice(["F", "M"], n)
    age = np.where(rng.random(n) < np.where(sex == "M", 0.8, 0.3), 70.0, 30.0)
    called = rng.random(n) < np.where(age > 50, 0.6, 0.9) - true_gap * (sex == "F")
    return pd.DataFrame(
        {
            **{"patient_id": np.arange(n), "label": "Nodule", "target": np.where(rng.random(n) < 0.3, 0.0, 1.0)},
            **{"score": called * 0.9, "threshold": 0.5, "sex": sex, "age_years": age},
        }
    )


@pytest.mark.parametrize("true_gap", [0.0, 0.15])
def test_a_gap_that_is_case_mix_vanishes_and_a_true_one_stays(true_gap: float) -> None:
    recipe = Recipe(bootstraps=200, metrics=("sensitivity", "ppv"), case_mix=("age", "prevalence"))
    table = table_of(cohort(true_gap))
    axes = choose_axes(["sex"], table.groups, (50,), skip_absent=False)
    result = audit(table, axes, AuditConfig(recipe=recipe))
    before = result.gaps.set_index("stratum").loc["F", "gap"]
    row = result.case_mix.set_index(["stratum", "metric"]).loc[("F", "sensitivity")]
    assert before == pytest.approx(0.15 - true_gap, abs=0.04)  # women seem served better, or as well
    assert row["gap"] == pytest.approx(-true_gap, abs=0.04)
    assert row["ci_low"] < -true_gap < row["ci_high"]
    assert (row["p_value"] < 0.001) == (true_gap > 0)
    assert row["confounders"] == "age, prevalence"
    assert "ppv" in set(result.case_mix["metric"])


def test_an_absent_confounder_is_one_line() -> None:
    table = table_of(cohort(0.0, 200))
    axes = choose_axes(["sex"], table.groups, (50,), skip_absent=False)
    with pytest.raises(UserError, match="the axis 'view' needs the column 'view'"):
        audit(table, axes, AuditConfig(recipe=Recipe(case_mix=("view",))))
