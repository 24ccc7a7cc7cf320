"""The whole of ingest: a source of films → the dataset artifact, whole or not at all.

read and render in workers (``collect``) → decide (``assemble``) → write (``store``) → count
(``summary``). The key and the crosswalk are the user's: they lie outside the dataset.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raydino.artifacts.dataset import DATASET
from raydino.artifacts.header import creating, refuse_existing
from raydino.dicom.assemble import Entry, Sidecars, assemble
from raydino.dicom.collect import Spool, collect
from raydino.dicom.deidentify import Pseudonyms, new_key, read_key, write_private
from raydino.dicom.film import Work
from raydino.dicom.pixels import PixelRecipe
from raydino.dicom.splits import FRACTIONS
from raydino.dicom.store import store
from raydino.dicom.summary import Summary, summarise
from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, Uncertain, cohort_of, open_reader
from raydino.readers.film_table import FilmTable
from raydino.readers.mask_folder import MaskFolder
from raydino.readers.report_table import ReportTable


@dataclass(frozen=True)
class IngestOptions:
    """The choices of one run. Paths are None for what is not given."""

    recipe: PixelRecipe = field(default_factory=PixelRecipe)
    reader: str | None = None
    images_csv: Path | None = None
    uncertain: Uncertain = "unknown"
    labels: Path | None = None
    masks: Path | None = None
    reports: Path | None = None
    key: Path | None = None
    crosswalk: Path | None = None
    retain_institution: bool = False
    split_seed: int = 0
    workers: int = 1
    overwrite: bool = False


def ingest(source: str | Path, out: Path, options: IngestOptions) -> Summary:
    """Make the dataset ``out`` of ``source``. Raises UserError, and then leaves nothing behind.

    The result depends on the source, the sidecar files, the key, the recipe and the split seed; never
    on ``workers`` or on where things lie.
    """
    refuse_existing(out, overwrite=options.overwrite)
    _refuse_crosswalk(out, options)
    reader_options = ReaderOptions(options.images_csv, options.uncertain)
    reader_name, reader = open_reader(str(source), options.reader, reader_options)
    sidecars = Sidecars(
        FilmTable(options.labels) if options.labels else None,
        ReportTable(options.reports) if options.reports else None,
    )
    masks = MaskFolder.open(options.masks) if options.masks else None
    key_path, key = _key(out, options)
    pseudonyms = Pseudonyms(key)
    labels = tuple(dict.fromkeys((*reader.labels, *(sidecars.labels.labels if sidecars.labels else ()))))
    config: dict[str, Any] = {}
    with creating(out, DATASET, config=config, seed=options.split_seed, overwrite=options.overwrite) as directory:
        with Spool(directory / ".spool") as spool:
            collected = collect(reader, Work(options.recipe, masks), spool, options.workers)
            entries = assemble(collected, sidecars, pseudonyms, options.split_seed)
            _require_films(entries, source)
            store(
                directory,
                entries,
                spool,
                source=cohort_of(reader_name, reader),
                labels=labels,
                pseudonyms=pseudonyms,
                retain_institution=options.retain_institution,
            )
        config.update(_config(options, reader_name, labels, entries))
        if options.crosswalk:
            write_private(options.crosswalk, _crosswalk(entries))
        if not key_path.exists():
            write_private(key_path, key.hex() + "\n")
    return summarise(entries, labels, reader, sidecars, masks, key_path)


def _config(options: IngestOptions, reader: str, labels: Sequence[str], entries: Sequence[Entry]) -> dict[str, Any]:
    accepted = [entry for entry in entries if entry.accepted]
    return {
        "pixels": options.recipe.resolved(),
        "labels": list(labels),
        "structures": sorted({structure for entry in accepted for structure in entry.collected.masks}),
        "reader": reader,
        "split": {"seed": options.split_seed, "fractions": FRACTIONS},
        "retain_institution": options.retain_institution,
    }


def _key(out: Path, options: IngestOptions) -> tuple[Path, bytes]:
    """Where the key lies and what it is. A key that was made for ``out`` before is used again."""
    path = options.key or out.with_name(f"{out.name}.key")
    return path, read_key(path) if options.key or path.exists() else new_key()


def _refuse_crosswalk(out: Path, options: IngestOptions) -> None:
    for path in filter(None, (options.crosswalk, options.key)):
        if path.resolve().is_relative_to(out.resolve()):
            raise UserError("must not lie inside the dataset", where=path, remedy="keep it apart: it names patients")
    if options.crosswalk and options.crosswalk.exists() and not options.overwrite:
        raise UserError("already exists", where=options.crosswalk, remedy="choose another name or add --overwrite")


def _require_films(entries: Sequence[Entry], source: str | Path) -> None:
    if any(entry.accepted for entry in entries):
        return
    counts = Counter(entry.reason for entry in entries)
    listed = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    remedy = None
    if counts.keys() <= {"not_dicom"}:
        remedy = "DICOM files are needed here, or images with a CSV (--images-csv)"
    raise UserError(f"no chest radiograph found among {len(entries)} files ({listed})", where=source, remedy=remedy)


def _crosswalk(entries: Sequence[Entry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("sample_id", "path", "patient_id", "sop_instance_uid"))
    for entry in entries:
        header = entry.collected.reading.header
        patient = (header.patient_id if header else "") or entry.collected.image.known.patient_id or ""
        writer.writerow((entry.sample_id, entry.collected.image.name, patient, entry.sop_instance_uid))
    return text.getvalue()
