"""``raydino export``: the encoder of a run for other programs, checked against their readers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Target(StrEnum):
    """Formats that an encoder can be exported to."""

    hf = "hf"
    onnx = "onnx"
    torch = "torch"


def export(
    run: Annotated[Path, typer.Argument(help="A run (its newest encoder) or an encoder.")],
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    to: Annotated[
        Target,
        typer.Option(
            help="hf: opens with transformers.AutoModel.from_pretrained(OUT), and with raydino. "
            "onnx: OUT/encoder.onnx, for onnxruntime. torch: OUT/encoder.pt2, for torch.export.load."
        ),
    ] = Target.hf,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is already there.")] = False,
) -> None:
    """Export a frozen encoder and prove that its reader gives the same tokens (to 1e-5 of the largest).

    The graphs of onnx and torch take any number of films [B, 1, S, S] in 0..1 of the encoder's size, normalise them,
    and give cls, registers and patches; they run without raydino.

    Example: raydino export demo/run --to hf --out demo/encoder    raydino export demo/run --to onnx --out demo/onnx
    """
    from raydino.artifacts.encoder import ENCODER, ONNX_EXPORT, TORCH_EXPORT
    from raydino.artifacts.header import refuse_existing

    schema = {Target.hf: ENCODER, Target.onnx: ONNX_EXPORT, Target.torch: TORCH_EXPORT}[to]
    refuse_existing(out, overwrite=overwrite, schema=schema)
    if to is Target.hf:
        from raydino.export.hf import export_hf as export_it
    elif to is Target.onnx:
        from raydino.export.onnx_file import export_onnx as export_it
    else:
        from raydino.export.graph import export_torch as export_it
    difference = export_it(run, out, overwrite=overwrite)
    reader = {Target.hf: "transformers.AutoModel", Target.onnx: "onnxruntime", Target.torch: "torch.export.load"}[to]
    typer.echo(f"{out}: for {reader}, whose tokens differ from ours by at most {difference:.1e} of the largest")
