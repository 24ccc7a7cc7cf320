"""``raydino audit`` from end to end, its faults with exit code 2, and the promise of no torch."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bias_audit.settings import AuditConfig
from raydino.cli import run
from raydino.config import load_config

ROOT = Path(__file__).resolve().parents[2]


def test_a_csv_becomes_a_report(csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "audit"
    arguments = ["audit", str(csv), "--out", str(out), "--by", "sex,site", "--bootstraps", "150", "--seed", "3"]
    assert run(arguments) == 0
    assert {path.name for path in out.iterdir()} == {
        *("artifact.json", "report.html", "report.json"),
        *(f"{name}.parquet" for name in ("strata", "gaps", "references", "spreads", "case_mix", "fairness")),
    }
    header = json.loads((out / "artifact.json").read_text())
    assert header["schema"] == "audit"
    assert header["seed"] == 3
    assert header["config"]["recipe"]["bootstraps"] == 150
    assert header["config"]["axes"] == ["sex", "site"]
    assert list(header["inputs"]) == ["predictions.csv"]
    assert run(arguments) == 2  # an existing audit is not replaced …
    assert "already exists" in capsys.readouterr().err
    assert run([*arguments, "--overwrite"]) == 0  # … unless it may be
    assert json.loads((out / "artifact.json").read_text()) == header


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--by", "sx"], "did you mean 'sex'"),
        (["--by", "population"], "needs the column 'population'"),
        (["--set", "recipe.margn=1"], "unknown key 'recipe.margn'; did you mean 'margin'?"),
        (["--bootstraps", "5"], "recipe.bootstraps"),
        (["--min-positives", "0"], "recipe.min_positives"),
        (["--demographics", "nowhere"], "no such directory"),
    ],
)
def test_faults_are_one_line_and_leave_nothing(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run(["audit", str(csv), "--out", str(tmp_path / "audit"), *extra]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_a_table_without_groups_is_refused(
    cohort: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.csv"
    cohort.drop(columns=["sex", "age_years", "site"]).to_csv(path, index=False)
    assert run(["audit", str(path), "--out", str(tmp_path / "audit")]) == 2
    assert "there is no group to audit by" in capsys.readouterr().err


def test_the_default_config_file_is_the_default() -> None:
    assert load_config(ROOT / "configs/audit/default.yaml", AuditConfig) == AuditConfig()


def test_no_module_of_the_audit_imports_torch() -> None:
    modules = [f"bias_audit.{path.stem}" for path in (ROOT / "bias_audit").glob("*.py") if path.stem != "__init__"]
    assert len(modules) > 15
    code = f"import sys, {', '.join(modules)}; assert not {{'torch', 'pydicom', 'adapters'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
