"""Predicted measurements: errors in their own unit and in standard deviations, by group."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bias_audit.audit import audit
from bias_audit.axes import choose_axes
from bias_audit.inputs import read_table
from bias_audit.measurements import error_columns
from bias_audit.render import report_values
from bias_audit.settings import AuditConfig, Recipe
from raydino.artifacts.header import creating
from raydino.artifacts.predictions import PREDICTIONS, TABLES
from raydino.artifacts.table import Column, Table


def films(n: int = 400) -> pd.DataFrame:
    """Ages read five years too high in women, well in men; a tenth of the true ages unknown."""
    rng = np.random.default_rng(0)
    sex = rng.choice(["F", "M"], n)
    target = rng.normal(55, 15, n)
    prediction = target + rng.normal(0, 4, n) + np.where(sex == "F", 8.0, 0.0)
    frame = pd.DataFrame({"sample_id": [f"f{k:04d}" for k in range(n)], "patient_id": np.arange(n) // 2})
    frame = frame.assign(split="test", task="regression", label="age_years", target=target, prediction=prediction)
    frame.loc[::10, "target"] = np.nan
    return frame.assign(patient_id=frame["patient_id"].astype(str), sex=np.repeat(sex[::2], 2))


def test_errors_are_those_of_a_plain_loop() -> None:
    frame = films(40)
    errors = error_columns(frame)
    known = frame["target"].dropna()
    for row in range(40):
        error = frame["prediction"][row] - frame["target"][row]
        assert errors["error"][row] == pytest.approx(error, nan_ok=True)
        assert errors["absolute_error_sd"][row] == pytest.approx(abs(error) / np.std(known), nan_ok=True)
    assert error_columns(frame.assign(target=1.0))["absolute_error_sd"].isna().all()


def test_an_artifact_of_regression_is_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = [Column(name, "string") for name in ("sample_id", "patient_id", "split", "task", "label")]
    columns = (*identity, Column("target", "float", nullable=True), Column("prediction", "float"))
    monkeypatch.setitem(TABLES, "regression", Table("predictions", columns, others="string"))
    frame = films()
    with creating(tmp_path / "predictions", PREDICTIONS, config={"task": "regression"}) as partial:
        TABLES["regression"].write(frame, partial / "predictions.parquet")
    table = read_table(tmp_path / "predictions")
    assert table.groups == ("sex",)
    axes = choose_axes(["sex"], table.groups, (18,), skip_absent=False)
    result = audit(table, axes, AuditConfig(recipe=Recipe(bootstraps=100)))
    assert set(result.strata["metric"]) == {"mae_sd", "mae", "mean_error"}
    assert set(result.gaps["metric"]) == {"mae_sd"}
    strata = result.strata.set_index(["stratum", "metric"])
    here = frame[frame["target"].notna() & (frame["sex"] == "F")]
    error = here["prediction"] - here["target"]
    assert strata.loc[("F", "mean_error"), "estimate"] == pytest.approx(error.mean())
    assert strata.loc[("F", "mae"), "estimate"] == pytest.approx(error.abs().mean())
    assert strata.loc[("F", "mean_error"), "ci_low"] < error.mean() < strata.loc[("F", "mean_error"), "ci_high"]
    assert strata.loc[("F", "mae"), "n_unknown"] == ((frame["sex"] == "F") & frame["target"].isna()).sum()
    assert result.fairness.empty
    assert report_values(result)["input"]["task"] == "regression"
