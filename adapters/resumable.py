"""One fit and its predictions as two artifacts in a folder, whole or not there: what is finished is not done again.

``label_efficiency``, ``transfer`` and ``suite`` are made of these, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.base import AdapterConfig
from adapters.bundle import load_adapter, write_bundle
from adapters.fit import fit
from adapters.predict import predict
from adapters.targets import films_of
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import Schema, creating, read_header
from raydino.artifacts.predictions import PREDICTIONS, Predictions
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features, extract


class CannotTeach(UserError):
    """The dataset cannot teach what the config asks."""


@dataclass(frozen=True)
class Source:
    """A dataset and the encoder's features of its films, None where they are to be made when they are needed."""

    dataset: Dataset
    features: Features | None = None


@dataclass(frozen=True)
class Measured:
    """``n_train`` films that taught; ``labels`` that were learnt; ``metrics`` of the predicted split."""

    n_train: int
    labels: tuple[str, ...]
    metrics: dict[str, Any]
    predictions: Predictions


def measured(
    config: AdapterConfig, encoder: Encoder, taught_by: Source, directory: Path, split: str, asked: Source | None = None
) -> Measured:
    """Fit on ``taught_by`` and predict ``split`` of ``asked`` (the same films' dataset by default), as far as not done.

    Raises CannotTeach where the fit has nothing to learn, UserError where ``directory`` is of another config or input.
    """
    asked = asked or taught_by
    adapter_at, predictions_at = directory / "adapter", directory / split
    inputs = {"encoder": encoder.spec.fingerprint, "dataset": taught_by.dataset.header.fingerprint}
    if not _is_done(adapter_at, ADAPTER, config.resolved(), inputs):
        with creating(adapter_at, ADAPTER, config=config.resolved(), seed=config.recipe.seed, inputs=inputs) as partial:
            try:
                fitted = fit(config, encoder, taught_by.dataset, taught_by.features)
            except UserError as error:
                raise CannotTeach(error.what, where=error.where, remedy=error.remedy) from None
            write_bundle(partial, fitted.adapter, fitted.metrics)
    adapter = load_adapter(adapter_at, encoder.spec)
    inputs |= {
        "adapter": read_header(adapter_at, ADAPTER).fingerprint,
        "dataset": asked.dataset.header.fingerprint,
    }
    settings = {"task": adapter.task, "kind": config.kind, "split": split}
    if not _is_done(predictions_at, PREDICTIONS, settings, inputs):
        with creating(predictions_at, PREDICTIONS, config=settings, inputs=inputs) as partial:
            predict(adapter, encoder, asked.dataset, split, partial, asked.features)
    n_train = json.loads((adapter_at / "metrics.json").read_text(encoding="utf-8"))["n_train"]
    metrics = json.loads((predictions_at / "metrics.json").read_text(encoding="utf-8"))
    return Measured(n_train, adapter.labels, metrics, Predictions.open(predictions_at))


def _is_done(path: Path, schema: Schema, config: dict[str, Any], inputs: dict[str, str]) -> bool:
    """Whether the artifact is there. Raises UserError when another config or input made it."""
    if not path.exists():
        return False
    header = read_header(path, schema)
    if header.config != json.loads(json.dumps(config)) or header.inputs != inputs:
        raise UserError(
            "was made with another config, encoder or dataset", where=path, remedy="choose another --out or remove it"
        )
    return True


def encoded(config: AdapterConfig, encoder: Encoder, dataset: Dataset, split: str) -> Features:
    """All films that the fits of an experiment will read, encoded once."""
    splits = dict.fromkeys(("train", "val", split))
    ids = [sample_id for name in splits for sample_id in films_of(dataset, name, config.recipe.views)]
    return extract(encoder.at(config.recipe.image_size), dataset, ids, blocks=config.recipe.blocks)
