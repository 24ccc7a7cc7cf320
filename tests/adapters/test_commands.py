"""The two verbs from the outside: exit codes, one line for a fault, nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from raydino.artifacts.dataset import Dataset
from raydino.cli import run
from raydino.testing.tiny import tiny_encoder


@pytest.fixture
def fit_arguments(
    classification_values: dict[str, Any], encoder_path: Path, dataset: Dataset, tmp_path: Path
) -> list[str]:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(classification_values))
    shared = ["--encoder", str(encoder_path), "--data", str(dataset.path)]
    return ["adapt", "fit", str(config), *shared, "--out", str(tmp_path / "adapter")]


def _fault(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    assert run(arguments) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("raydino: ")]
    assert len(lines) == 1
    return lines[0]


def test_fit_then_predict(
    fit_arguments: list[str],
    encoder_path: Path,
    dataset: Dataset,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run([*fit_arguments, "--set", "recipe.epochs=5"]) == 0
    assert "Cardiomegaly" in capfd.readouterr().out
    card = json.loads((tmp_path / "adapter" / "adapter.json").read_text())
    assert card["config"]["recipe"]["epochs"] == 5
    shared = ["--encoder", str(encoder_path), "--data", str(dataset.path)]
    predict = ["adapt", "predict", str(tmp_path / "adapter"), *shared, "--out", str(tmp_path / "predictions")]
    assert run(predict) == 0
    header = json.loads((tmp_path / "predictions" / "artifact.json").read_text())
    adapter = json.loads((tmp_path / "adapter" / "artifact.json").read_text())
    assert header["inputs"]["adapter"] == adapter["fingerprint"]
    assert header["config"] == {"kind": "classification_linear", "split": "test", "task": "classification"}
    assert "already exists" in _fault(predict, capfd)
    assert run([*predict, "--overwrite", "--split", "val"]) == 0


def test_features_made_by_embed_serve_both(
    fit_arguments: list[str], encoder_path: Path, dataset: Dataset, tmp_path: Path
) -> None:
    cached = str(tmp_path / "features")
    assert run(["embed", str(dataset.path), "--encoder", str(encoder_path), "--out", cached]) == 0
    assert run([*fit_arguments, "--features", cached]) == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.labels=[Nodul]", "no labels called 'Nodul'; did you mean 'Nodule'"),
        ("recipe.epoch=3", "did you mean 'epochs'"),
        ("kind=classification_lineal", "did you mean 'classification_linear'"),
    ],
)
def test_a_fault_of_the_config_leaves_nothing(
    fit_arguments: list[str], override: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert message in _fault([*fit_arguments, "--set", override], capfd)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.yaml"]


def test_an_adapter_with_another_encoder(
    fit_arguments: list[str], dataset: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(fit_arguments) == 0
    tiny_encoder(tmp_path / "other", seed=1)
    predict = ["adapt", "predict", str(tmp_path / "adapter"), "--data", str(dataset.path)]
    line = _fault([*predict, "--encoder", str(tmp_path / "other"), "--out", str(tmp_path / "out")], capfd)
    assert "fitted on another encoder" in line
    assert "give that encoder, or fit the adapter again" in line
    assert not (tmp_path / "out").exists()


def test_films_of_another_pixel_recipe(
    fit_arguments: list[str], dataset: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "dataset"
    other.mkdir()
    for path in dataset.path.iterdir():
        (other / path.name).symlink_to(path)
    header = json.loads((dataset.path / "artifact.json").read_text())
    header["config"]["pixels"]["bits"] = 16
    (other / "artifact.json").unlink()
    (other / "artifact.json").write_text(json.dumps(header))
    arguments = [str(other) if a == str(dataset.path) else a for a in fit_arguments]
    assert "bits 16 instead of 8" in _fault(arguments, capfd)


def test_what_is_not_an_adapter(
    encoder_path: Path, dataset: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shared = ["--encoder", str(encoder_path), "--data", str(dataset.path), "--out", str(tmp_path / "out")]
    assert "this is 'encoder', not 'adapter'" in _fault(["adapt", "predict", str(encoder_path), *shared], capfd)
    assert "no such directory" in _fault(["adapt", "predict", str(tmp_path / "nothing"), *shared], capfd)


def test_help_imports_no_torch() -> None:
    script = (
        "import sys; from raydino.cli import run\n"
        "assert run(['adapt', 'fit', '--help']) == 0\n"
        "assert not {'torch', 'monai', 'transformers', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
