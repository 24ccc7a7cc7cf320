from pathlib import Path

import pytest

from adapters.configs import load_adapter_config
from adapters.registry import ADAPTERS

CONFIGS = Path(__file__).parents[3] / "configs" / "adapt"


@pytest.mark.parametrize("path", [*CONFIGS.glob("segmentation_*.yaml"), *CONFIGS.glob("regression_*.yaml")], ids=str)
def test_the_configs_are_complete(path: Path) -> None:
    config = load_adapter_config(path)
    assert ADAPTERS.get(config.kind).task == path.name.split("_")[0]
    text = path.read_text(encoding="utf-8")
    for word in ("# command:", "# hardware:", "# time:", "# result:"):
        assert word in text
    missing = set(type(config.recipe).model_fields) - set(config.recipe.model_fields_set)
    assert not missing, f"a default that the file does not show: {missing}"
