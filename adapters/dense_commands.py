"""The verbs of ``raydino adapt`` that measure and draw: ``cardiothoracic`` and ``explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def cardiothoracic(
    predictions: Annotated[Path, typer.Argument(help="Predictions of a segmentation adapter, with their masks.")],
    data: Annotated[Path, typer.Option("--data", help="The dataset that was predicted.")],
    out: Annotated[Path, typer.Option(help="Directory of the predictions artifact to write, of the task regression.")],
    lungs: Annotated[str, typer.Option(help="The structure that covers both lungs.")] = "lungs",
    heart: Annotated[str, typer.Option(help="The structure that is the heart.")] = "heart",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the artifact at --out once the new one is whole.")
    ] = False,
) -> None:
    """Measure the cardiothoracic ratio on predicted masks and compare it with the dataset's own.

    Example: raydino adapt cardiothoracic predictions-masks/ --data DATASET --out predictions-ratio/
    """
    from adapters.regression.from_masks import ratios_of_masks
    from adapters.tables import print_metrics
    from raydino.artifacts.dataset import Dataset
    from raydino.artifacts.header import creating, write_json
    from raydino.artifacts.predictions import PREDICTIONS, TABLES, Predictions

    masks, dataset = Predictions.open(predictions), Dataset.open(data)
    split = masks.header.config.get("split")
    settings = {"task": "regression", "kind": "cardiothoracic", "split": split, "lungs": lungs, "heart": heart}
    inputs = {"predictions": masks.header.fingerprint, "dataset": dataset.header.fingerprint}
    with creating(out, PREDICTIONS, config=settings, inputs=inputs, overwrite=overwrite) as directory:
        evaluation = ratios_of_masks(masks, dataset, lungs=lungs, heart=heart)
        TABLES["regression"].write(evaluation.table, directory / "predictions.parquet")
        metrics = evaluation.metrics(task="regression", split=str(split))
        write_json(directory / "metrics.json", metrics)
    print_metrics(metrics, title=f"cardiothoracic ratio of masks, {split}")
    typer.echo(f"predictions: {out}")
