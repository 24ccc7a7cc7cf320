"""A config of every classification head, on the tiny dataset of all tests of adapters."""

from collections.abc import Callable
from typing import Any

import pytest

from adapters.base import AdapterConfig
from adapters.registry import ADAPTERS
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder
from raydino.features import Features, extract

DESCENT = {"epochs": 6, "patience": 6, "batch_size": 16, "learning_rate": 1e-2, "weight_decay": 0.0}
ATTENTION = {"tokens": "cls_patches", "width": 16, "n_heads": 2, "dropout": 0.1, "blocks": [-2, -1]}
HEADS: dict[str, dict[str, Any]] = {
    "classification_linear": {"readout": "grid_3", "l2": [0.03, 0.3], **DESCENT},
    "classification_grid": {
        "readouts": ["cls", "cls_mean", "grid_2"],
        "blocks": [-2, -1],
        "last_blocks": [1, 2],
        "learning_rate_factors": [0.1, 1.0],
        **DESCENT,
        "learning_rate": 3.0,
    },
    "classification_attentive": {**ATTENTION, **DESCENT},
    "classification_query": {**ATTENTION, **DESCENT},
    "classification_knn": {"readout": "cls_mean", "k": [5, 10], "temperature": 0.07},
    "classification_logistic": {"readout": "cls_mean", "C": [1e-3, 1e-2], "max_iterations": 200},
    "classification_fair": {
        "readout": "cls_mean",
        "C": [1e-3, 1e-2],
        "max_iterations": 200,
        "by": ["sex"],
        "min_patients": 3,
        "constraint": "equalized_odds",
        "difference": 0.05,
        "rounds": 6,
    },
}
COMMON = {"seed": 0, "views": ["PA", "AP", "UNKNOWN"], "labels": "all"}


@pytest.fixture(scope="session", params=HEADS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each head in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def config_of() -> Callable[..., AdapterConfig]:
    """The config of a kind, some of its recipe changed."""

    def make(kind: str, **changed: Any) -> AdapterConfig:
        values = {"kind": kind, "recipe": {**COMMON, **HEADS[kind], **changed}, "runtime": {"device": "cpu"}}
        model: type[AdapterConfig] = ADAPTERS.get(kind).config_model
        return model.model_validate(values)

    return make


@pytest.fixture(scope="session")
def both_blocks(encoder: Encoder, dataset: Dataset) -> Features:
    """Features of the last two blocks."""
    return extract(encoder, dataset, dataset.sample_ids(), blocks=(-2, -1))
