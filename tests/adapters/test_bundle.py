import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.batches import FilmFeatures
from adapters.bundle import load_adapter, write_bundle
from adapters.fit import fit
from adapters.predict import predict
from adapters.registry import ADAPTERS
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features


@pytest.fixture
def bundle(
    any_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path
) -> tuple[Path, Any]:
    config = ADAPTERS.get(any_values["kind"]).config_model.model_validate(any_values)
    fitted = fit(config, encoder, dataset, features)
    with creating(tmp_path / "adapter", ADAPTER, config=config.resolved(), seed=0) as directory:
        write_bundle(directory, fitted.adapter, fitted.metrics)
    return tmp_path / "adapter", fitted.adapter


def test_a_loaded_bundle_predicts_the_same(
    bundle: tuple[Path, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    path, fitted = bundle
    loaded = load_adapter(path, encoder.spec)
    output = FilmFeatures(features, dataset.sample_ids("test")).read(torch.arange(5))
    expected, found = fitted.predict(output), loaded.predict(output)
    assert loaded.labels == fitted.labels
    assert loaded.thresholds == fitted.thresholds
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_another_encoder_is_refused(bundle: tuple[Path, Any], encoder: Encoder) -> None:
    other = dataclasses.replace(encoder.spec, fingerprint="f" * 64)
    with pytest.raises(UserError, match=r"fitted on another encoder \(.{12}\) than the one given \(f{12}\)"):
        load_adapter(bundle[0], other)


def test_another_pixel_recipe_is_refused(bundle: tuple[Path, Any], encoder: Encoder) -> None:
    other = dataclasses.replace(encoder.spec, pixels={"shorter_side": 99, "bits": 8})
    with pytest.raises(UserError, match="another pixel recipe"):
        load_adapter(bundle[0], other)


def test_weights_of_another_shape_are_refused(bundle: tuple[Path, Any], encoder: Encoder) -> None:
    card = json.loads((bundle[0] / "adapter.json").read_text())
    card["labels"] = card["labels"][:1]
    card["config"]["recipe"].update({"vocab_size": 301, "width": 20} if card["task"] == "report" else {})
    (bundle[0] / "adapter.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match="its weights do not fit its config"):
        load_adapter(bundle[0], encoder.spec)


def test_an_empty_batch_and_foreign_tokens_are_refused(bundle: tuple[Path, Any], encoder: Encoder) -> None:
    output = encoder(torch.rand(2, 1, 32, 32))
    with pytest.raises(UserError, match="the batch is empty"):
        bundle[1].predict(type(output)(*(t[:0] for t in output)))
    with pytest.raises(UserError, match="tokens of width 16; this adapter was fitted on width 32"):
        bundle[1].predict(type(output)(*(t[..., :16] for t in output)))


def test_films_at_another_size_are_asked_for_again(
    encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path, segmentation_values: dict[str, Any]
) -> None:
    segmentation_values["recipe"]["image_size"] = 48
    config = ADAPTERS.get(segmentation_values["kind"]).config_model.model_validate(segmentation_values)
    with pytest.raises(UserError, match="of films at 32 pixels, not 48"):
        fit(config, encoder, dataset, features)
    fitted = fit(config, encoder, dataset)
    with creating(tmp_path / "adapter", ADAPTER, config=config.resolved(), seed=0) as directory:
        write_bundle(directory, fitted.adapter, fitted.metrics)
    loaded = load_adapter(tmp_path / "adapter", encoder.spec)
    assert loaded.spec.grid == 6
    metrics = predict(loaded, encoder, dataset, "test", tmp_path)
    with pytest.raises(UserError, match="of films at 32 pixels, not 48"):
        predict(loaded, encoder, dataset, "test", tmp_path / "again", features)
    assert metrics["overall"]["dice"] > 0
