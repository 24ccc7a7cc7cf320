"""``raydino embed``: run a frozen encoder over a dataset and keep its features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def embed(
    dataset: Annotated[Path, typer.Argument(help="A dataset made by raydino ingest.")],
    encoder: Annotated[Path, typer.Option(help="An encoder, or a run (its newest encoder).")],
    out: Annotated[Path, typer.Option(help="The features directory to write.")],
    batch_size: Annotated[int, typer.Option(min=1, help="Films at a time; changes speed only.")] = 64,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace features that are already there.")] = False,
) -> None:
    """Encode every accepted film once: cls, register and patch tokens as memory-mapped float32 arrays.

    Adapters take the result by --features instead of encoding again.

    Example: raydino embed demo/dataset --encoder demo/run --out demo/features
    """
    from raydino.artifacts.dataset import Dataset
    from raydino.artifacts.header import refuse_existing
    from raydino.encoder import Encoder
    from raydino.features import extract, save_features
    from raydino.train.precision import pick_device

    refuse_existing(out, overwrite=overwrite)
    opened = Dataset.open(dataset)
    loaded = Encoder.load(encoder, device=pick_device("auto"))
    features = extract(loaded, opened, opened.sample_ids(), batch_size=batch_size)
    save_features(out, features, encoder=loaded.spec, dataset=opened, overwrite=overwrite)
    typer.echo(f"{out}: features of {len(features.sample_ids)} films")
