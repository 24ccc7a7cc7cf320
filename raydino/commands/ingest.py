"""``raydino ingest``: a source of films → a de-identified dataset, split by patient."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from raydino.errors import UserError

if TYPE_CHECKING:
    from raydino.dicom.summary import Summary


# The options, in the order of the help.
Source = Annotated[
    str,
    typer.Argument(
        help="A tree of DICOM files, a zip or tar of them, images with images.csv beside them, a public data set, "
        "or an address: s3://…, dicomweb+http://…, dimse://…. raydino plugins lists all readers.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option(help="The dataset to make. OUT must lie outside SOURCE.", show_default=False)]
Labels = Annotated[
    Path | None,
    typer.Option(help="CSV keyed by sop_instance_uid or file: columns of 1, 0 and empty become labels."),
]
Masks = Annotated[
    Path | None,
    typer.Option(help="Folder of <structure>/<SOP Instance UID>.png at the films' size, or a table of CheXmask."),
]
Reports = Annotated[
    Path | None,
    typer.Option(
        help="CSV with text and sop_instance_uid, file or study_instance_uid. The text is scrubbed of what "
        "identifies its patient."
    ),
]
WithReports = Annotated[
    bool,
    typer.Option("--with-reports", help="Keep the reports that SOURCE itself brings. Without it none is kept."),
]
ImagesCsv = Annotated[
    Path | None,
    typer.Option(help="List of image files: file, patient_id, and what else is known. Default SOURCE/images.csv."),
]
Reader = Annotated[str | None, typer.Option(help="How to read SOURCE. Default: by what it holds.")]
Uncertain = Annotated[
    Literal["unknown", "present", "absent"],
    typer.Option(help="What a finding that SOURCE calls uncertain counts as."),
]
Key = Annotated[
    Path | None, typer.Option(help="Key of the pseudonyms, hexadecimal. Default OUT.key, made where absent.")
]
Crosswalk = Annotated[
    Path | None, typer.Option(help="Also write a CSV that leads from sample_id back to file and patient.")
]
ShorterSide = Annotated[
    int, typer.Option(min=16, max=4096, help="Shorter side of the stored films, pixels. None is enlarged.")
]
Bits = Annotated[int, typer.Option(help="Bits of the stored films: 8 or 16.")]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        metavar="REASON",
        help="A reason that rejects nothing: modality, not_human, not_chest, derived, for_processing. Repeatable.",
    ),
]
BurnedIn = Annotated[
    Literal["reject", "keep", "black-out", "quarantine"],
    typer.Option(
        help="Films with burned-in text: reject those whose header says so, or keep them; with the ocr extra, read "
        "every film and black the text out, or quarantine (reject) the film."
    ),
]
SmallestSide = Annotated[
    int | None,
    typer.Option(min=1, help="Pixels that a film's shorter side must have. Default: a quarter of --shorter-side."),
]
Previews = Annotated[
    bool,
    typer.Option("--previews", help="Keep small pictures of rejected films, for the contact sheet of raydino inspect."),
]
RetainInstitution = Annotated[
    bool, typer.Option("--retain-institution", help="Keep institution names (PS3.15 option) as the site.")
]
SplitSeed = Annotated[int, typer.Option(help="Deals patients without an official split.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes. Default: one for each CPU core.")]
On = Annotated[
    str | None,
    typer.Option(
        metavar="dask://HOST:PORT",
        help="Read the films on a Dask cluster, whose workers see SOURCE under the same path. The dataset is the same.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing dataset.")]


def ingest(
    source: Source,
    out: Out,
    labels: Labels = None,
    masks: Masks = None,
    reports: Reports = None,
    with_reports: WithReports = False,
    images_csv: ImagesCsv = None,
    reader: Reader = None,
    uncertain: Uncertain = "unknown",
    key: Key = None,
    crosswalk: Crosswalk = None,
    shorter_side: ShorterSide = 512,
    bits: Bits = 8,
    keep: Keep = None,
    burned_in: BurnedIn = "reject",
    smallest_side: SmallestSide = None,
    previews: Previews = False,
    retain_institution: RetainInstitution = False,
    split_seed: SplitSeed = 0,
    workers: Workers = None,
    on: On = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a dataset of chest radiographs: screened, rendered, de-identified, split by patient.

    Keep the key file: with it, a second run gives the same patients the same pseudonyms.
    Whoever has it and a patient's id can find that patient in the dataset.

    A run that was stopped, killed or out of disk: give the same command again, and it goes on where it was.
    Until then .OUT.ingest beside OUT keeps what is done. It names patients: remove it if you don't go on.

    Examples:

    raydino ingest archive/ --out dataset --labels labels.csv --masks masks/

    raydino ingest mimic-cxr/ --out dataset --with-reports --uncertain present --on dask://10.0.0.5:8786
    """
    import os

    from raydino.dicom.ingest import IngestOptions
    from raydino.dicom.ingest import ingest as run
    from raydino.dicom.pixels import PixelRecipe
    from raydino.dicom.screen import Screening

    if bits not in (8, 16):
        raise UserError(f"--bits {bits} is not possible", remedy="8 or 16")
    options = IngestOptions(
        recipe=PixelRecipe(shorter_side, bits),
        reader=reader,
        images_csv=images_csv,
        uncertain=uncertain,
        labels=labels,
        masks=masks,
        reports=reports,
        with_reports=with_reports,
        key=key,
        crosswalk=crosswalk,
        screening=Screening.of(keep or (), burned_in, smallest_side),
        previews=previews,
        retain_institution=retain_institution,
        split_seed=split_seed,
        workers=workers or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(2)),
        on=on,
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
    unused += [("note", note) for note in summary.notes]
    title = f"{out}: {summary.accepted} films of {summary.patients} patients"
    print_table(title, [counted, unused, [("key, yours to keep", str(summary.key))]])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
