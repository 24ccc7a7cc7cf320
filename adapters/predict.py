"""Predict a split with a fitted adapter, and compare with what the dataset knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapters.base import Adapter
from adapters.batches import FilmFeatures
from adapters.targets import films_of
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.artifacts.predictions import TABLES
from raydino.encoder import Encoder
from raydino.features import Features, extract
from raydino.train.precision import pick_device


def predict(
    adapter: Adapter,
    encoder: Encoder,
    dataset: Dataset,
    split: str,
    directory: Path,
    features: Features | None = None,
) -> dict[str, Any]:
    """Write ``predictions.parquet``, ``metrics.json`` and masks, if any, into ``directory``; return the figures.

    Every accepted film of the split in the adapter's views is predicted, whether its truth is known or not.
    """
    dataset.require_disjoint_patients()
    encoder.spec.require_same_pixels(dataset)
    device, blocks = pick_device(adapter.config.runtime.device), adapter.config.recipe.blocks
    ids = films_of(dataset, split, adapter.config.recipe.views)
    if features is None:
        features = extract(encoder.to(device), dataset, ids, blocks=blocks)
    films = FilmFeatures(features, ids, device, blocks)
    evaluation = adapter.to(device).evaluate(dataset, films, directory / "masks")
    TABLES[adapter.task].write(evaluation.table, directory / "predictions.parquet")
    metrics = evaluation.metrics(task=adapter.task, split=split)
    write_json(directory / "metrics.json", metrics)
    return metrics
