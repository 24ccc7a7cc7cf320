"""Predict a split with a fitted adapter, and compare with what the dataset knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.base import Adapter, Evaluation
from adapters.batches import FilmFeatures
from adapters.targets import films_of
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.artifacts.predictions import TABLES
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features, extract
from raydino.train.precision import pick_device

if TYPE_CHECKING:
    from adapters.segmentation.dense import Windows


def predict(
    adapter: Adapter,
    encoder: Encoder,
    dataset: Dataset,
    split: str,
    directory: Path,
    features: Features | None = None,
    windows: Windows | None = None,
) -> dict[str, Any]:
    """Write ``predictions.parquet``, ``metrics.json`` and masks, if any, into ``directory``; return the figures.

    Every accepted film of the split in the adapter's views is predicted, whether its truth is known or not.
    ``windows``: masks from overlapping windows, which the live encoder looks at one by one.
    """
    dataset.require_disjoint_patients()
    encoder.spec.require_same_pixels(dataset)
    encoder = encoder.at(adapter.spec.image_size)
    ids = films_of(dataset, split, adapter.config.recipe.views)
    device = pick_device(adapter.config.runtime.device)
    adapter, encoder = adapter.to(device), encoder.to(device)
    if windows is None:
        evaluation = _of_whole_films(adapter, encoder, dataset, ids, directory / "masks", features)
    else:
        evaluation = _of_windows(adapter, encoder, dataset, ids, directory / "masks", windows)
    TABLES[adapter.task].write(evaluation.table, directory / "predictions.parquet")
    metrics = evaluation.metrics(task=adapter.task, split=split)
    write_json(directory / "metrics.json", metrics)
    return metrics


def _of_whole_films(
    adapter: Adapter, encoder: Encoder, dataset: Dataset, ids: list[str], masks_to: Path, features: Features | None
) -> Evaluation:
    blocks = adapter.config.recipe.blocks
    if features is None:
        features = extract(encoder, dataset, ids, blocks=blocks)
    features.require_size(encoder.spec)
    return adapter.evaluate(dataset, FilmFeatures(features, ids, adapter.device, blocks), masks_to)


def _of_windows(
    adapter: Adapter, encoder: Encoder, dataset: Dataset, ids: list[str], masks_to: Path, windows: Windows
) -> Evaluation:
    from adapters.segmentation.base import SegmentationAdapter  # monai takes seconds that other tasks need not wait
    from adapters.segmentation.dense import windowed_maps

    if not isinstance(adapter, SegmentationAdapter):
        raise UserError(f"windows are for masks; this adapter is for {adapter.task}", remedy="leave --scales out")
    return adapter.compare(dataset, ids, windowed_maps(adapter, encoder, dataset, ids, windows), masks_to)
