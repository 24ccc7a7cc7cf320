"""One command, a table: what ran, what did not and why, and nothing fitted twice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import adapters.resumable
from adapters.suite_config import load_suite
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.predictions import Predictions
from raydino.cli import run
from raydino.testing.tiny import tiny_dataset

CONFIGS = Path(__file__).parents[2] / "configs" / "adapt"


@pytest.fixture
def suite_file(tmp_path: Path, classification_values: dict[str, Any], segmentation_values: dict[str, Any]) -> Path:
    classification_values["recipe"] |= {"epochs": 4, "patience": 4}
    segmentation_values["recipe"] |= {"epochs": 2, "patience": 2, "blocks": [-2]}
    kept = ("seed", "views", "readout", "l2", "epochs", "patience", "batch_size", "learning_rate", "weight_decay")
    recipe = {key: classification_values["recipe"][key] for key in kept} | {"columns": ["age_years"], "loss": "huber"}
    files = {"findings": classification_values, "masks": segmentation_values}
    files["age"] = {"kind": "regression_linear", "recipe": recipe, "runtime": {"device": "cpu"}}
    for name, values in files.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values))
    own = {"about": "tests", "data": "own", "split": "test"}
    literature = {"value": 0.888, "source": "a page"}
    tasks = [
        {"name": "findings", "config": "findings.yaml", "figure": "auroc", "literature": literature, **own},
        {"name": "masks", "config": "masks.yaml", "figure": "dice", **own},
        {"name": "age", "config": "age.yaml", "figure": "mae", **own},
        {"name": "view", "config": "findings.yaml", "overrides": ["recipe.labels=[view=PA]"], "figure": "auroc", **own},
        {"name": "away", "config": "findings.yaml", "figure": "auroc", "predicted": "other", **own},
        {
            "name": "none",
            "config": "findings.yaml",
            "overrides": ["recipe.labels=[site=Mars]"],
            "figure": "auroc",
            **own,
        },
        {"name": "elsewhere", "config": "findings.yaml", "figure": "auroc", **own, "data": "not-here"},
    ]
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({"seeds": 2, "tasks": tasks}))
    return path


def test_the_table_and_a_second_run_that_fits_nothing(
    suite_file: Path, encoder_path: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[str] = []
    real = adapters.resumable.fit
    monkeypatch.setattr(adapters.resumable, "fit", lambda c, *rest: (fits.append(c.kind), real(c, *rest))[1])
    other = tiny_dataset(tmp_path / "other", n_patients=20, seed=5)
    out = tmp_path / "out"
    command = ["adapt", "suite", str(suite_file), "--encoder", str(encoder_path), "--out", str(out), "--random"]
    command += ["--data", f"own={dataset.path}", "--data", f"other={other.path}"]
    assert run(command) == 0
    ran = {row["task"]: row["not_run"] for row in json.loads((out / "table.json").read_text())}
    assert [task for task, reason in ran.items() if reason] == ["none", "elsewhere"], ran
    assert len(fits) == 2 * (2 * 5 + 1)  # encoders, seeds, tasks; and the one that nothing can teach
    rows = {row["task"]: row for row in json.loads((out / "table.json").read_text())}
    for task, figure in (
        ("findings", "auroc"),
        ("masks", "dice"),
        ("age", "mae"),
        ("view", "auroc"),
        ("away", "auroc"),
    ):
        row = rows[task]
        assert row["not_run"] is None
        assert row["figure"] == figure
        assert row["low"] <= row["value"] <= row["high"]
        assert row["lowest_seed"] <= row["value"] <= row["highest_seed"]
        assert np.isfinite(row["random"])
    own, away = (
        Predictions.open(out / "encoder/findings/seed-0/test"),
        Predictions.open(out / "encoder/away/seed-0/test"),
    )
    assert own.header.inputs["dataset"] == dataset.header.fingerprint
    assert away.header.inputs["dataset"] == other.header.fingerprint
    assert set(away.table["sample_id"]) <= set(other.sample_ids("test"))
    tables = [Predictions.open(out / f"encoder/age/seed-{seed}/test").table for seed in (0, 1)]
    errors = [(table["prediction"] - table["target"]).abs().mean() for table in tables]
    assert rows["age"]["value"] == pytest.approx(np.mean(errors))
    assert rows["none"]["not_run"] is not None
    assert rows["elsewhere"]["not_run"] == "no --data not-here=DATASET"
    assert rows["elsewhere"]["value"] is None
    assert len(pd.read_csv(out / "table.csv")) == 7
    text = (out / "table.md").read_text()
    assert "| 0.888 (a page) |" in text
    assert "- elsewhere (tests): no --data not-here=DATASET" in text
    fits.clear()
    assert run(command) == 0
    assert fits == ["classification_linear"] * 2  # what nothing can teach is asked again
    assert (out / "table.md").read_text() == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["own"], "--data 'own'; NAME=DATASET"),
        (["mine=DATASET"], "no task of the suite is about 'mine'; it names not-here, other, own"),
        (["own=DATASET", "own=DATASET"], "--data names 'own' twice"),
    ],
)
def test_what_is_wrong_with_data_is_one_line(
    suite_file: Path,
    encoder_path: Path,
    dataset: Dataset,
    tmp_path: Path,
    data: list[str],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    command = ["adapt", "suite", str(suite_file), "--encoder", str(encoder_path), "--out", str(tmp_path / "out")]
    for word in data:
        command += ["--data", word.replace("DATASET", str(dataset.path))]
    assert run(command) == 2
    assert message in capfd.readouterr().err


def test_a_fault_in_an_adapter_of_the_suite_comes_before_any_fit(suite_file: Path) -> None:
    values = yaml.safe_load(suite_file.read_text())
    values["tasks"][3]["overrides"] = ["recipe.epoch=3"]
    suite_file.write_text(yaml.safe_dump(values))
    with pytest.raises(Exception, match="did you mean 'epochs'"):
        load_suite(suite_file)
    values["tasks"][3] = values["tasks"][2]
    suite_file.write_text(yaml.safe_dump(values))
    with pytest.raises(Exception, match="two tasks are called 'age'"):
        load_suite(suite_file)


@pytest.mark.parametrize("name", ["suite_raydino", "suite_local"])
def test_the_suites_that_come_with_raydino_hold(name: str) -> None:
    suite = load_suite(CONFIGS / f"{name}.yaml")
    assert all(task.literature is None for task in suite.tasks)  # no published figure was read at its source yet
    if name == "suite_raydino":
        docs = "".join((CONFIGS.parents[1] / "docs" / f).read_text() for f in ("datasets.md", "datasets_masks.md"))
        assert all(f"| `{data}` |" in docs for task in suite.tasks for data in (task.data, task.tested_on))
        assert len({task.about for task in suite.tasks}) == 9
