"""``raydino export``: the encoder of a run as a directory of its own, checked against its reader."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Target(StrEnum):
    """Formats that an encoder can be exported to."""

    hf = "hf"


def export(
    run: Annotated[Path, typer.Argument(help="A run (its newest encoder) or an encoder.")],
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    to: Annotated[
        Target, typer.Option(help="hf: opens with transformers.AutoModel.from_pretrained(OUT), and with raydino.")
    ] = Target.hf,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is already there.")] = False,
) -> None:
    """Export a frozen encoder and prove that its reader gives the same tokens (to 1e-5).

    Example: raydino export demo/run --to hf --out demo/encoder
    """
    from raydino.export import export_hf

    difference = export_hf(run, out, overwrite=overwrite)
    typer.echo(f"{out}: loads with transformers.AutoModel; its tokens differ from ours by at most {difference:.1e}")
