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
        (["--fail-on", "gap>0.1"], "gap needs a metric"),
        (["--column", "score=prob"], "has no column 'prob'"),
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


def test_a_condition_that_holds_ends_with_exit_code_3(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["audit", str(csv), "--by", "sex,site", "--bootstraps", "100", "--set", "recipe.metrics=[sensitivity]"]
    assert run([*arguments, "--out", str(tmp_path / "a"), "--fail-on", "flagged>0"]) == 3
    assert "--fail-on 'flagged>0' holds: flagged is" in capsys.readouterr().err
    assert (tmp_path / "a" / "report.html").is_file()  # the audit itself is good
    assert run([*arguments, "--out", str(tmp_path / "b"), "--fail-on", "gap:sensitivity>0.99"]) == 0


def test_a_mapping_is_written_from_the_columns_and_read_again(cohort: pd.DataFrame, tmp_path: Path) -> None:
    path, mapping = tmp_path / "p.csv", tmp_path / "mapping.yaml"
    cohort.rename(columns={"score": "prob", "patient_id": "Patient ID"}).to_csv(path, index=False)
    assert run(["audit", str(path), "--out", str(tmp_path / "audit")]) == 2
    assert run(["audit", str(path), "--write-mapping", str(mapping)]) == 0
    extra = ["--mapping", str(mapping), "--by", "sex", "--bootstraps", "100", "--set", "recipe.metrics=[auroc]"]
    assert run(["audit", str(path), "--out", str(tmp_path / "audit"), *extra]) == 0
    report = json.loads((tmp_path / "audit" / "report.json").read_text())
    assert "Columns mapped: patient_id is Patient ID, score is prob." in report["input"]["notes"]
    assert run(["audit", str(path), "--write-mapping", str(mapping)]) == 2  # an edited mapping is not lost


def test_pdf_without_chromium_is_one_line(
    csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAYDINO_CHROMIUM", str(tmp_path / "none"))
    assert run(["audit", str(csv), "--out", str(tmp_path / "audit"), "--pdf"]) == 2
    assert "--pdf needs Chromium, and none was found" in capsys.readouterr().err
    assert not (tmp_path / "audit").exists()


WITHOUT_TORCH = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "monai", "transformers", "pydicom", "tokenizers", "adapters"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
from raydino.cli import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_a_table_is_audited_where_torch_is_not_installed(cohort: pd.DataFrame, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frame = cohort[cohort["label"] == "Nodule"]
    frame.to_csv(path, index=False) if name.endswith("csv") else frame.to_parquet(path)
    words = ["audit", str(path), "--out", str(tmp_path / "audit"), "--by", "sex", "--bootstraps", "100"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "audit" / "report.html").is_file()


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


def test_predictions_may_be_called_predictions(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the README: the word is a path where it is one, and the command's name where a path follows."""
    csv.rename(tmp_path / "predictions")
    monkeypatch.chdir(tmp_path)
    options = ["--out", "audit", "--by", "sex"]
    assert run(["audit", "predictions", *options]) == 2
    assert "predictions: cannot tell what" in capsys.readouterr().err  # a path, and not a missing argument
    (tmp_path / "predictions").rename(csv)
    assert run(["audit", "predictions", *options]) == 2
    assert "Missing argument" in capsys.readouterr().err
    assert run(["audit", "predictions", "predictions.csv", *options, "--bootstraps", "100"]) == 0
