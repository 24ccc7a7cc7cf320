"""One tiny dataset and encoder for all tests of adapters, with the encoder's features of every film."""

from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.base import Adapter
from adapters.bundle import write_bundle
from adapters.registry import ADAPTERS
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.encoder import EncoderCard
from raydino.artifacts.header import creating
from raydino.config import parse_config
from raydino.dicom.pixels import PixelRecipe
from raydino.encoder import Encoder, save_encoder
from raydino.features import Features, extract
from raydino.nn.vit import VisionTransformer, ViTConfig
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


RECIPE = PixelRecipe(shorter_side=64)
LEARNT = ("epochs", "patience", "batch_size", "learning_rate", "weight_decay")


@pytest.fixture(scope="session")
def reading_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of films made by ``RECIPE``."""
    path = tmp_path_factory.mktemp("reading") / "encoder"
    config = ViTConfig(image_size=32, patch_size=8, embed_dim=32, depth=2, n_heads=2, n_registers=1)
    vit = VisionTransformer(config).initialise(torch.Generator().manual_seed(3))
    card = EncoderCard(vit=config.resolved(), pixels=RECIPE.resolved(), mean=0.4, std=0.25, steps=0)
    save_encoder(path, vit, card, inputs={})
    return path


@pytest.fixture(scope="session")
def bundles(reading_encoder: Path, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One adapter of ``reading_encoder`` of each task; the findings' reads another block than the others."""
    encoder, path = Encoder.load(reading_encoder), tmp_path_factory.mktemp("bundles")
    kept = {key: CLASSIFICATION["recipe"][key] for key in ("seed", "views", "readout", "l2", *LEARNT)}
    regression = {"columns": ["age_years"], "loss": "huber"} | kept
    measured = {"kind": "regression_linear", "recipe": regression, "runtime": {"device": "cpu"}}
    return {
        "classification": _bundle(path / "findings", CLASSIFICATION, encoder, dataset, blocks=[-2]),
        "segmentation": _bundle(path / "masks", SEGMENTATION, encoder, dataset),
        "regression": _bundle(path / "age", measured, encoder, dataset),
        "report": _bundle(path / "report", REPORT, encoder, dataset),
    }


def _bundle(path: Path, values: dict[str, Any], encoder: Encoder, dataset: Dataset, **recipe: Any) -> Path:
    """An adapter with weights at random, as what it says need not be right here."""
    values = values | {"recipe": {**values["recipe"], **recipe}}
    cls: type[Adapter] = ADAPTERS.get(str(values["kind"]))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        adapter = cls.begin(parse_config(values, cls.config_model, where="test"), encoder.spec, dataset)
        for name, weight in adapter.named_parameters():
            if not name.startswith("language_model"):
                torch.nn.init.normal_(weight, std=0.5 if values["kind"] == "segmentation_conv" else 0.05)
    adapter.keep(0)
    if adapter.task == "classification":
        adapter.thresholds = dict.fromkeys(adapter.labels, 0.5) | {adapter.labels[-1]: None}
        adapter.calibration = {adapter.labels[0]: {"kind": "sigmoid", "slope": 2.0, "offset": 0.3}}
    elif adapter.task == "segmentation":
        adapter.thresholds = dict.fromkeys(adapter.labels, 0.5)
    with creating(path, ADAPTER, config=adapter.config.resolved()) as directory:
        write_bundle(directory, adapter, {})
    return path
