"""The config of a small regression, changed by each test as it needs."""

import pytest


@pytest.fixture
def regression_values() -> dict[str, object]:
    return {
        "kind": "regression_linear",
        "recipe": {
            "seed": 0,
            "views": ["PA", "AP", "UNKNOWN"],
            "columns": ["cardiothoracic_ratio"],
            "loss": "huber",
            "readout": "grid_4",
            "l2": [0.03, 0.3],
            "epochs": 60,
            "patience": 60,
            "batch_size": 16,
            "learning_rate": 1e-2,
            "weight_decay": 0.0,
        },
        "runtime": {"device": "cpu"},
    }


@pytest.fixture
def attentive_values(regression_values: dict[str, object]) -> dict[str, object]:
    recipe = dict(regression_values["recipe"])  # type: ignore[call-overload]
    del recipe["readout"], recipe["l2"]
    recipe |= {"width": 16, "n_heads": 2, "dropout": 0.0, "weight_decay": 0.01}
    return {**regression_values, "kind": "regression_attentive", "recipe": recipe}
