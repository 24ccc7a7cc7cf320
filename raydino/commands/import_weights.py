"""``raydino import-weights``: other people's DINOv2 weights as an encoder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from raydino.errors import UserError


class Positions(StrEnum):
    """Ways to resize position embeddings (raydino.nn.positions)."""

    offset = "offset"
    size = "size"
    antialias = "antialias"


def import_weights(
    source: Annotated[
        Path,
        typer.Argument(
            help="A .pth or .safetensors of the official DINOv2 code (XRay-DINO's too, or a training checkpoint with "
            "its teacher), or a Hugging Face directory of Dinov2 or Dinov2WithRegisters (RAD-DINO is one)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The encoder directory to write.")],
    channels: Annotated[
        int,
        typer.Option(
            min=1,
            max=3,
            help="1 folds RGB weights into one channel, with the same tokens for grey films. 3 keeps them, and films "
            "are copied to three channels.",
        ),
    ] = 1,
    mean: Annotated[
        str | None,
        typer.Option(
            help="Of training pixels in 0..1, one value or one a channel: 0.53 or 0.485,0.456,0.406. Left out: that of "
            "preprocessor_config.json in a Hugging Face directory, ImageNet's for official files."
        ),
    ] = None,
    std: Annotated[str | None, typer.Option(help="Their standard deviation, alike.")] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            help="Side in pixels of the films that the encoder will see; position embeddings are resized to it once. "
            "Left out: the size that they were made for (518 for DINOv2's own: 1,369 patches a film)."
        ),
    ] = None,
    position_resize: Annotated[
        Positions | None,
        typer.Option(
            help="How they are resized. Left out: as the code that the files belong to does it, offset for official "
            "files without registers, size for Hugging Face's, antialias for any with registers."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an encoder that is already there.")] = False,
) -> None:
    """Make an encoder of released weights; its tokens equal those of the code that the weights came with.

    Nothing is downloaded, no pickled code is run, and sizes are read from the tensors. The licence of the weights
    goes on to hold for the encoder and what is made with it: docs/encoders.md.

    Example: raydino import-weights dinov2_vits14_pretrain.pth --image-size 224 --out encoder
    """
    from raydino.artifacts.encoder import ENCODER
    from raydino.artifacts.header import refuse_existing
    from raydino.nn.sizes import name_of
    from raydino.weights.adopt import adopt, prepare
    from raydino.weights.sources import read_vit

    refuse_existing(out, overwrite=overwrite, schema=ENCODER)
    vit = prepare(
        read_vit(source),
        channels=channels,
        mean=_numbers(mean, "--mean"),
        std=_numbers(std, "--std"),
        image_size=image_size,
        position_resize=None if position_resize is None else position_resize.value,
    )
    adopt(vit, out, overwrite=overwrite)
    config = vit.config
    facts = f"{config.n_registers} registers, {config.channels} of {vit.origin['channels']} channels"
    typer.echo(f"{out}: {name_of(config)} for {config.image_size} pixels, {config.ffn}, {facts}, from {source.name}")


def _numbers(text: str | None, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")] if text is not None else []
    except ValueError:
        raise UserError(f"{option} {text!r} is no list of numbers", remedy=f"{option} 0.485,0.456,0.406") from None
