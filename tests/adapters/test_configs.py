from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.configs import load_adapter_config
from adapters.registry import ADAPTERS
from raydino.errors import UserError

TINY = Path(__file__).parents[2] / "configs" / "tiny"


@pytest.mark.parametrize("name", ["classification", "segmentation", "report"])
def test_the_tiny_configs_are_complete(name: str) -> None:
    config = load_adapter_config(TINY / f"{name}.yaml")
    assert ADAPTERS.get(config.kind).task == name
    assert load_adapter_config(TINY / f"{name}.yaml", ["recipe.epochs=3"]).recipe.epochs == 3


@pytest.mark.parametrize("path", sorted(TINY.parent.glob("adapt/classification_*.yaml")), ids=lambda path: path.stem)
def test_each_classification_head_has_a_complete_config_of_its_name(path: Path) -> None:
    config = load_adapter_config(path)
    assert path.stem.startswith(config.kind)
    assert f"raydino adapt fit configs/adapt/{path.name} " in path.read_text()
    written = yaml.safe_load(path.read_text())["recipe"]
    assert config.recipe.resolved().keys() == written.keys()  # complete: nothing is left to a default


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "classification_liner"}, "did you mean 'classification_linear'"),
        ({"kind": None}, "'kind'"),
        ({"recipe.epoch": 3}, "unknown key 'recipe.epoch'; did you mean 'epochs'"),
        ({"recipe.readout": "middle"}, "'recipe.readout'"),
        ({"recipe.epochs": 0}, "'recipe.epochs'.*greater than 0"),
        ({"recipe.views": []}, "'recipe.views'"),
        ({"recipe.l2": [-1.0]}, "'recipe.l2.0'"),
    ],
)
def test_a_fault_is_one_line_with_its_path(
    change: dict[str, Any], message: str, classification_values: dict[str, Any], tmp_path: Path
) -> None:
    for dotted, value in change.items():
        *parents, last = dotted.split(".")
        level = classification_values
        for parent in parents:
            level = level[parent]
        level[last] = value
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(classification_values))
    with pytest.raises(UserError, match=message):
        load_adapter_config(path)
