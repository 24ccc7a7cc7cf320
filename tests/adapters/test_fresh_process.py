"""A third party's adapter, installed for real: it fits here, and a fresh process loads its bundle and says the same."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.registry import ADAPTERS
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.predictions import Predictions
from raydino.cli import run

MODULE = '''
from typing import ClassVar, Literal

import torch
from torch import nn

from adapters.classification.base import ClassificationAdapter, ClassificationConfig, ClassificationRecipe


class RegisterRecipe(ClassificationRecipe):
    sharpness: float


class RegisterConfig(ClassificationConfig):
    kind: Literal["findings_from_registers"]
    recipe: RegisterRecipe


class RegisterClassifier(ClassificationAdapter):
    """A linear layer on the register tokens, which none of the built-in heads looks at."""

    config_model: ClassVar = RegisterConfig

    def __init__(self, config, spec, labels):
        super().__init__(config, spec, labels)
        self.layer = nn.Linear(spec.n_registers * self.width, len(labels))

    def logits_BHL(self, output):
        return self.config.recipe.sharpness * self.layer(output.registers.flatten(1))[:, None]
'''
PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "third-party-heads"
version = "1.0"
[project.entry-points."raydino.adapters"]
findings_from_registers = "third_party_heads:RegisterClassifier"
[tool.setuptools]
py-modules = ["third_party_heads"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip installed the package into; no index is asked."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "third_party_heads.py").write_text(MODULE)
    (source / "pyproject.toml").write_text(PYPROJECT)
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *how, "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_an_installed_adapter_is_listed_fits_predicts_and_loads_elsewhere(
    site: Path,
    classification_values: dict[str, Any],
    encoder_path: Path,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(site))
    assert ADAPTERS.plugins()["findings_from_registers"].origin == "third-party-heads"
    recipe = {key: value for key, value in classification_values["recipe"].items() if key not in ("l2", "readout")}
    values = {"kind": "findings_from_registers", "recipe": {**recipe, "sharpness": 2.0}, "runtime": {"device": "cpu"}}
    config, bundle = tmp_path / "config.yaml", tmp_path / "adapter"
    config.write_text(yaml.safe_dump(values))
    shared = ["--encoder", str(encoder_path), "--data", str(dataset.path)]
    assert run(["adapt", "fit", str(config), *shared, "--out", str(bundle)]) == 0
    assert run(["adapt", "predict", str(bundle), *shared, "--out", str(tmp_path / "here")]) == 0
    script = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from raydino.cli import run\n"
        "from raydino.commands import plugins\n"
        "plugins._REGISTRIES = ('adapters.registry:ADAPTERS',)\n"
        f"assert run({['adapt', 'predict', str(bundle), *shared, '--out', str(tmp_path / 'there')]!r}) == 0\n"
        "assert run(['plugins']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "findings_from_registers" in done.stdout
    assert "third-party-heads" in done.stdout
    here, there = (Predictions.open(tmp_path / name).table for name in ("here", "there"))
    assert here["label"].nunique() == len(json.loads((bundle / "adapter.json").read_text())["labels"])
    assert (here["score"] - there["score"]).abs().max() < 1e-6
    assert here.drop(columns="score").equals(there.drop(columns="score"))
