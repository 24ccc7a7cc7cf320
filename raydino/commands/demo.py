"""``raydino demo``: the whole way once, each command printed as it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    archive: Annotated[
        Path | None,
        typer.Option(
            help="A tree of DICOM files, with labels.csv, masks/ and reports.csv or notes.csv in or beside it "
            "where known. Without it a synthetic archive is made."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where everything is written. A second run continues there.")] = Path(
        "demo"
    ),
    patients: Annotated[int, typer.Option(min=20, help="Patients of the synthetic archive.")] = 1200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the synthetic archive.")] = 0,
    configs: Annotated[
        Path | None, typer.Option(help="The folder of the tiny configs; by default the project's configs/tiny.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Handed to raydino pretrain, e.g. recipe.steps=3000."),
    ] = None,
) -> None:
    """From a DICOM archive to an audited model: synth, ingest, pretrain, export, embed, adapt, audit.

    Beside the pretrained encoder the same network at random initialisation is probed, and beside the report
    decoder one that never sees the film: a result means something only against them. Steps that are
    already done in --out are not done again.

    Example: raydino demo --archive ../shared/data/archive --out demo-real
    """
    from raydino.demo import Demo, synthetic_archive

    chain = Demo(out, configs=configs, pretrain_overrides=set_ or [])
    if archive is None:
        archive = synthetic_archive(chain, patients=patients, seed=seed)
    chain.run(archive)
