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


def explain(
    adapter: Annotated[Path, typer.Argument(help="Adapter bundle from raydino adapt fit.")],
    encoder: Annotated[Path, typer.Option("--encoder", help="Encoder artifact, or a run (its newest encoder).")],
    data: Annotated[Path, typer.Option("--data", help="Dataset artifact, of the encoder's pixel recipe.")],
    sample: Annotated[list[str], typer.Option("--sample", help="A film's sample_id; may be given several times.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures; made where it is not there.")],
    side: Annotated[int, typer.Option(min=1, help="Of the hidden squares, in patches.")] = 3,
) -> None:
    """Draw what the encoder looks at (rollout), how it parts a film (patches), and what each score relies on.

    Over the score's pictures: red where the score falls when the place is hidden, blue where it rises.

    Example: raydino adapt explain findings/ --encoder RUN --data DATASET --sample 0a1b2c --out pictures/
    """
    from adapters.bundle import load_adapter
    from adapters.pictures.explain import draw
    from raydino.artifacts.dataset import Dataset
    from raydino.encoder import Encoder
    from raydino.errors import UserError
    from raydino.train.precision import pick_device

    dataset, frozen = Dataset.open(data), Encoder.load(encoder)
    frozen.spec.require_same_pixels(dataset)
    fitted = load_adapter(adapter, frozen.spec)
    device = pick_device(fitted.config.runtime.device)
    unknown = [one for one in sample if one not in dataset.accepted.index]
    if unknown:
        raise UserError(f"holds no accepted film {unknown[0]!r}", where=data, remedy="raydino inspect names some films")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be made ({error.strerror})", where=out) from None
    for sample_id in sample:
        for path in draw(fitted.to(device), frozen.to(device), dataset, sample_id, out, side):
            typer.echo(str(path))
