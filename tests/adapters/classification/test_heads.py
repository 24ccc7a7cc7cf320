"""What every classification head owes: the same answers from a bundle, in any order and batch, and clear faults."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapters.base import Adapter
from adapters.batches import FilmFeatures
from adapters.bundle import load_adapter, write_bundle
from adapters.fit import Fitted, fit
from adapters.registry import ADAPTERS
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features


@pytest.fixture(scope="session")
def fitted(kind: str, config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features) -> Fitted:
    config = config_of(kind, calibration="platt", operating_point={"kind": "sensitivity", "at": 0.8})
    return fit(config, encoder, dataset, both_blocks)


@pytest.fixture(scope="session")
def bundle(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "adapter"
    with creating(path, ADAPTER) as directory:
        write_bundle(directory, fitted.adapter, fitted.metrics)
    return path


def _films(adapter: Adapter, features: Features, ids: list[str]) -> FilmFeatures:
    return FilmFeatures(features, ids, blocks=adapter.config.recipe.blocks)


def test_order_and_batch_change_no_prediction(fitted: Fitted, dataset: Dataset, both_blocks: Features) -> None:
    ids = dataset.sample_ids("test", "val")
    films = _films(fitted.adapter, both_blocks, ids)
    whole = fitted.adapter.predict(films.read(torch.arange(len(ids))))
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(len(ids)))
    parts = [fitted.adapter.predict(films.read(places)) for places in shuffled.split(5)]
    for one, several in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(one[shuffled], torch.cat(several), rtol=1e-4, atol=1e-5)
    assert whole.logits.isfinite().all()
    assert ((whole.probability >= 0) & (whole.probability <= 1)).all()


def test_a_bundle_predicts_the_same_when_loaded(
    fitted: Fitted, bundle: Path, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    loaded = load_adapter(bundle, encoder.spec)
    output = _films(loaded, both_blocks, dataset.sample_ids("test")).read(torch.arange(6))
    for expected, found in zip(fitted.adapter.predict(output), loaded.predict(output), strict=True):
        assert torch.equal(expected, found)
    assert {path.suffix for path in bundle.iterdir()} == {".json", ".safetensors"}


def test_an_empty_batch_other_tokens_and_a_lost_threshold_are_one_line(
    fitted: Fitted, bundle: Path, encoder: Encoder, tmp_path: Path
) -> None:
    output = encoder(torch.rand(2, 1, 32, 32), fitted.adapter.config.recipe.blocks)
    with pytest.raises(UserError, match="the batch is empty"):
        fitted.adapter.predict(type(output)(*(t[:0] for t in output)))
    with pytest.raises(UserError, match="was fitted on width"):
        fitted.adapter.predict(type(output)(*(t[..., :16] for t in output)))
    for path in bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    card = json.loads((tmp_path / "adapter.json").read_text())
    lost = card["labels"][0]
    del card["thresholds"][lost]
    (tmp_path / "adapter.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=f"no threshold for the label {lost!r}"):
        load_adapter(tmp_path, encoder.spec)


def test_calibration_operating_point_and_figures_of_validation(fitted: Fitted) -> None:
    metrics = fitted.metrics
    assert metrics["overall"]["auroc"] > 0.6
    for label in fitted.adapter.labels:
        row = metrics["per_label"][label]
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
        assert row["threshold"] is None or row["sensitivity"] >= 0.8
        assert {"brier", "brier_uncalibrated", "ece", "ece_uncalibrated"} <= row.keys()
        assert fitted.adapter.calibration[label]["kind"] == "sigmoid"
        assert metrics["per_patient"][label]["n_positive"] <= row["n_positive"]
    assert metrics["overall"]["brier"] < metrics["overall"]["brier_uncalibrated"]


def test_unknown_labels_teach_nothing(
    kind: str, config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    config = config_of(kind)
    adapter = ADAPTERS.get(kind)(config, encoder.spec, ["a", "b"])
    assert adapter.known(torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan]])).tolist() == [True, False]
    films = FilmFeatures(both_blocks, dataset.sample_ids("train"), blocks=config.recipe.blocks)
    truth = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (len(films), 2)).astype(np.float32))
    truth[::2, 1] = torch.nan
    adapter.observe(films, truth)
    torch.testing.assert_close(adapter.prevalence, torch.stack([truth[:, 0].mean(), truth[1::2, 1].mean()]))


def test_a_label_that_the_dataset_lacks_is_predicted_and_told(
    fitted: Fitted, dataset: Dataset, both_blocks: Features
) -> None:
    other = Dataset(dataset.path, dataset.header)
    other.__dict__["labels"] = dataset.labels.drop(columns="Nodule")
    evaluation = fitted.adapter.evaluate(other, _films(fitted.adapter, both_blocks, dataset.sample_ids("test")))
    assert evaluation.notes["Nodule"].startswith("nothing to compare with: the dataset does not know this label")
    assert evaluation.per_label["Nodule"]["auroc"] is None
    rows = evaluation.table[evaluation.table["label"] == "Nodule"]
    assert rows["score"].between(0, 1).all()
    assert rows["target"].isna().all()
