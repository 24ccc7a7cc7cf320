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
    blocks: Annotated[
        str,
        typer.Option(help="Transformer blocks to keep, counted from the end; the last four: --blocks=-4,-3,-2,-1."),
    ] = "-1",
    image_size: Annotated[
        int | None,
        typer.Option(
            help="Side in pixels at which films are encoded, a multiple of the patch; as trained if not given."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace features that are already there.")] = False,
) -> None:
    """Encode every accepted film once: cls, register and patch tokens as memory-mapped float32 arrays.

    Adapters take the result by --features instead of encoding again.

    Example: raydino embed demo/dataset --encoder demo/run --out demo/features
    """
    from raydino.artifacts.dataset import Dataset
    from raydino.artifacts.header import refuse_existing
    from raydino.encoder import Encoder
    from raydino.features import embed as embed_films
    from raydino.train.precision import pick_device

    wanted = _blocks(blocks)
    refuse_existing(out, overwrite=overwrite)
    loaded = Encoder.load(encoder, device=pick_device("auto")).at(image_size)
    n_films = embed_films(out, loaded, Dataset.open(dataset), batch_size=batch_size, blocks=wanted, overwrite=overwrite)
    typer.echo(f"{out}: features of {n_films} films")


def _blocks(text: str) -> tuple[int, ...]:
    from raydino.errors import UserError

    try:
        blocks = tuple(int(word) for word in text.split(","))
    except ValueError:
        blocks = ()
    if not blocks or max(blocks) >= 0 or list(blocks) != sorted(set(blocks)):
        raise UserError(f"--blocks {text!r}", remedy="negative numbers that rise, such as --blocks=-4,-3,-2,-1")
    return blocks
