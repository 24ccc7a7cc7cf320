"""One tiny dataset and encoder for all tests of adapters, with the encoder's features of every film."""

from pathlib import Path

import pytest

from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder
from raydino.features import Features, extract
from raydino.testing.tiny import tiny_dataset, tiny_encoder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("data") / "dataset", n_patients=40)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "encoder")


@pytest.fixture(scope="session")
def encoder_path(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder-path") / "encoder"
    tiny_encoder(path)
    return path


@pytest.fixture(scope="session")
def features(encoder: Encoder, dataset: Dataset) -> Features:
    return extract(encoder, dataset, dataset.sample_ids())


CLASSIFICATION = {
    "kind": "classification_linear",
    "recipe": {
        "seed": 0,
        "views": ["PA", "AP", "UNKNOWN"],
        "labels": "all",
        "readout": "grid_3",
        "l2": [0.03, 0.3],
        "epochs": 20,
        "patience": 20,
        "batch_size": 16,
        "learning_rate": 1e-2,
        "weight_decay": 0.0,
    },
    "runtime": {"device": "cpu"},
}
SEGMENTATION = {
    "kind": "segmentation_conv",
    "recipe": {
        "seed": 0,
        "views": ["PA", "AP", "UNKNOWN"],
        "structures": "all",
        "mask_size": 24,
        "width": 8,
        "detail": 2,
        "epochs": 15,
        "patience": 15,
        "batch_size": 16,
        "learning_rate": 1e-2,
        "weight_decay": 0.0,
    },
    "runtime": {"device": "cpu"},
}
REPORT = {
    "kind": "report_decoder",
    "recipe": {
        "seed": 0,
        "views": ["PA", "AP", "UNKNOWN"],
        "prefix_grid": 2,
        "vocab_size": 300,
        "width": 16,
        "depth": 1,
        "n_heads": 2,
        "dropout": 0.1,
        "max_tokens": 48,
        "generation": {"method": "greedy"},
        "sections": "all",
        "blind": False,
        "epochs": 2,
        "patience": 2,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "weight_decay": 0.01,
    },
    "runtime": {"device": "cpu"},
}


@pytest.fixture(params=[CLASSIFICATION, SEGMENTATION, REPORT], ids=lambda values: str(values["kind"]))
def any_values(request: pytest.FixtureRequest) -> dict[str, object]:
    """The config values of each kind in turn."""
    return dict(request.param)


@pytest.fixture
def classification_values() -> dict[str, object]:
    return {**CLASSIFICATION, "recipe": dict(CLASSIFICATION["recipe"])}


@pytest.fixture
def segmentation_values() -> dict[str, object]:
    return {**SEGMENTATION, "recipe": dict(SEGMENTATION["recipe"])}


@pytest.fixture
def report_values() -> dict[str, object]:
    return {**REPORT, "recipe": dict(REPORT["recipe"])}
