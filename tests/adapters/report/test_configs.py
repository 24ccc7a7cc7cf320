"""The report configs that we ship are complete: every key of the recipe stands in the file."""

from pathlib import Path

import pytest
import yaml

import raydino
from adapters.configs import load_adapter_config

ROOT = Path(raydino.__file__).resolve().parents[1]
SHIPPED = sorted((ROOT / "configs/adapt").glob("report*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configs_load_and_leave_nothing_to_defaults(path: Path) -> None:
    config = load_adapter_config(path)
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert written["recipe"].keys() == config.resolved()["recipe"].keys()
    assert written["recipe"]["generation"].keys() == config.resolved()["recipe"]["generation"].keys()


def test_there_are_some() -> None:
    assert {path.name for path in SHIPPED} >= {"report_decoder.yaml", "report_language_model.yaml"}
