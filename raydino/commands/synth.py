"""``raydino synth``: the embedded archive of synthetic chest radiographs (see raydino.phantom)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def synth(
    out: Annotated[Path, typer.Argument(help="Directory to write; it must not exist yet.")],
    patients: Annotated[int, typer.Option(min=1, help="Number of patients; 600 make about 1,000 films.")] = 600,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and number of patients give the same bytes.")] = 0,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes; 0 takes one for each core. Does not change the result.")
    ] = 0,
    no_planted_bias: Annotated[
        bool, typer.Option("--no-planted-bias", help="Draw every finding alike in all groups.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an archive that is already there.")] = False,
) -> None:
    """Write synthetic chest radiographs as real DICOM files, with the truth beside them.

    Labels, masks, reports and truth.json lie beside the files. Unless told otherwise, pleural
    effusions of women at one site are drawn fainter: a bias that an audit should find.

    Example: raydino synth scratch/archive --patients 600 --seed 7
    """
    import os

    from raydino.phantom.archive import write_archive

    films = write_archive(
        out,
        patients=patients,
        seed=seed,
        planted_bias=not no_planted_bias,
        workers=workers or os.cpu_count() or 1,
        overwrite=overwrite,
    )
    typer.echo(f"{out}: {films} films of {patients} patients")
