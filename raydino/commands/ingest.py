"""``raydino ingest``: a source of films → a de-identified dataset, split by patient."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raydino.errors import UserError

if TYPE_CHECKING:
    from raydino.dicom.summary import Summary


def ingest(
    source: Annotated[
        str, typer.Argument(help="A folder, zip or tar of DICOM; images with images.csv; an address: docs/sources.md.")
    ],
    out: Annotated[Path, typer.Option(help="The dataset to make.", show_default=False)],
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV keyed by sop_instance_uid or file: columns of 1, 0 and empty become labels."),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of <structure>/<SOP Instance UID>.png at the films' size.")
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option(help="CSV with text and sop_instance_uid or study_instance_uid. The text is kept as it is."),
    ] = None,
    images_csv: Annotated[
        Path | None,
        typer.Option(help="List of image files: file, patient_id, and what else is known. Default SOURCE/images.csv."),
    ] = None,
    reader: Annotated[str | None, typer.Option(help="How to read SOURCE. Default: by what it holds.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Key of the pseudonyms, hexadecimal. Default OUT.key, made where absent.")
    ] = None,
    crosswalk: Annotated[
        Path | None, typer.Option(help="Also write a CSV that leads from sample_id back to file and patient.")
    ] = None,
    shorter_side: Annotated[
        int, typer.Option(min=16, max=4096, help="Shorter side of the stored films, pixels. None is enlarged.")
    ] = 512,
    bits: Annotated[int, typer.Option(help="Bits of the stored films: 8 or 16.")] = 8,
    retain_institution: Annotated[
        bool, typer.Option("--retain-institution", help="Keep institution names (PS3.15 option) as the site.")
    ] = False,
    split_seed: Annotated[int, typer.Option(help="Deals patients without an official split.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: one for each CPU core.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing dataset.")] = False,
) -> None:
    """Make a dataset of chest radiographs: screened, rendered, de-identified, split by patient.

    Keep the key file: with it, a second run gives the same patients the same pseudonyms. Whoever has
    it and a patient's id can find that patient in the dataset.

    Example: raydino ingest archive/ --out dataset --labels labels.csv --masks masks/
    """
    import os

    from raydino.dicom.ingest import IngestOptions
    from raydino.dicom.ingest import ingest as run
    from raydino.dicom.pixels import PixelRecipe

    if bits not in (8, 16):
        raise UserError(f"--bits {bits} is not possible", remedy="8 or 16")
    options = IngestOptions(
        recipe=PixelRecipe(shorter_side, bits),
        reader=reader,
        images_csv=images_csv,
        labels=labels,
        masks=masks,
        reports=reports,
        key=key,
        crosswalk=crosswalk,
        retain_institution=retain_institution,
        split_seed=split_seed,
        workers=workers or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(2)),
        overwrite=overwrite,
    )
    _print(run(source, out, options), out)


def _print(summary: Summary, out: Path) -> None:
    from raydino.commands.tables import print_table

    splits = {split: summary.splits.get(split, 0) for split in ("train", "val", "test")}
    counted = [("rejected", _counts(summary.rejected) or "none"), ("splits", _counts(splits))]
    for label, (positive, negative, unknown) in summary.labels.items():
        counted.append((label, f"present {positive}, absent {negative}, unknown {unknown}"))
    counted += [("masks", _counts(summary.masks) or "none"), ("reports", str(summary.reports))]
    left_over = {
        "films without a row in the labels CSV": summary.films_without_row,
        "rows of the labels CSV without a film": summary.rows_without_film,
        "rows of the reports CSV without a film": summary.reports_without_film,
        "mask files without a film of their size": summary.masks_without_film,
    }
    unused = [(what, str(count)) for what, count in left_over.items() if count]
    unused += [(f"no label: {column}", why) for column, why in summary.left_out.items()]
    title = f"{out}: {summary.accepted} films of {summary.patients} patients"
    print_table(title, [counted, unused, [("key, yours to keep", str(summary.key))]])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
