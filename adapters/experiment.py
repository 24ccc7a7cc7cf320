"""One fit of an experiment of many, with its predictions: whole on disk, or not there, so that a stopped run goes on.

Neighbours: ``label_efficiency`` and ``transfer`` (which fits there are), ``fit`` and ``predict`` (the work).
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
from raydino.artifacts.predictions import PREDICTIONS
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features, extract


class Unteachable(UserError):
    """These films cannot teach what the config asks: too few of them, or of one class only."""


@dataclass(frozen=True)
class Done:
    """A fit and its predictions on disk."""

    predictions: Path  # the artifact
    labels: tuple[str, ...]  # that the fit could be taught
    n_train: int  # films


def fitted_and_predicted(
    config: AdapterConfig, encoder: Encoder, dataset: Dataset, features: Features, directory: Path, split: str
) -> Done:
    """``adapter`` and ``split`` in ``directory``, made where they are not there.

    Raises Unteachable where the dataset cannot teach what is asked, and another UserError where another config or input
    made what is there.
    """
    inputs = {"encoder": encoder.spec.fingerprint, "dataset": dataset.header.fingerprint}
    adapter_at, predictions_at = directory / "adapter", directory / split
    if not _is_done(adapter_at, ADAPTER, config.resolved(), inputs):
        with creating(adapter_at, ADAPTER, config=config.resolved(), seed=config.recipe.seed, inputs=inputs) as partial:
            try:
                fitted = fit(config, encoder, dataset, features)
            except UserError as error:
                raise Unteachable(error.what, where=error.where, remedy=error.remedy) from None
            write_bundle(partial, fitted.adapter, fitted.metrics)
    inputs["adapter"] = read_header(adapter_at, ADAPTER).fingerprint
    adapter = load_adapter(adapter_at, encoder.spec)
    settings = {"task": adapter.task, "kind": config.kind, "split": split}
    if not _is_done(predictions_at, PREDICTIONS, settings, inputs):
        with creating(predictions_at, PREDICTIONS, config=settings, inputs=inputs) as partial:
            predict(adapter, encoder, dataset, split, partial, features)
    n_train = json.loads((adapter_at / "metrics.json").read_text(encoding="utf-8"))["n_train"]
    return Done(predictions_at, adapter.labels, n_train)


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
    return extract(encoder, dataset, ids, blocks=config.recipe.blocks)
