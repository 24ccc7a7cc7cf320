"""The whole of ingest: a source of films → the dataset artifact, whole or not at all.

read and render in workers (``collect``) → decide (``assemble``) → count (``summary``) → write
(``store``). What is done lies in the ``workplace`` until the dataset is there, so a run that was
stopped, killed or out of disk goes on where it was. The key and the crosswalk are the user's: they
lie outside the dataset.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from raydino import __version__
from raydino.artifacts.dataset import DATASET
from raydino.artifacts.header import creating, refuse_existing
from raydino.dicom.assemble import Sidecars, decide
from raydino.dicom.burned_in import require_ocr
from raydino.dicom.collect import Execute, collect
from raydino.dicom.deidentify import Pseudonyms, new_key, read_key, write_private
from raydino.dicom.film import Work, prepare_worker
from raydino.dicom.journal import Journal
from raydino.dicom.pixels import PixelRecipe
from raydino.dicom.screen import READING, Screening
from raydino.dicom.splits import FRACTIONS
from raydino.dicom.store import store
from raydino.dicom.summary import Summary, summarise
from raydino.dicom.workplace import Workplace, disk_errors, path_beside
from raydino.errors import UserError
from raydino.processes import process_map
from raydino.readers.base import Reader, ReaderOptions, Uncertain, cohort_of, open_reader
from raydino.readers.film_table import FilmTable
from raydino.readers.mask_source import MaskSource, open_masks
from raydino.readers.report_table import ReportTable

FILE_SECONDS = 120.0  # the slowest decoder takes some 10 s for the largest films


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
    with_reports: bool = False  # the source's own; ``reports`` asks for them too
    key: Path | None = None
    crosswalk: Path | None = None
    screening: Screening = field(default_factory=Screening)
    previews: bool = False
    retain_institution: bool = False
    split_seed: int = 0
    workers: int = 1
    on: str | None = None  # a cluster that does the readings, ``dask://host:port``
    overwrite: bool = False


@dataclass(frozen=True)
class _Given:
    """What the options name, opened."""

    source: str
    reader_name: str
    reader: Reader
    sidecars: Sidecars
    masks: MaskSource | None
    key_path: Path
    key: bytes

    @property
    def labels(self) -> tuple[str, ...]:
        """The ordered label set: the source's, then that of the labels CSV."""
        table = self.sidecars.labels
        return tuple(dict.fromkeys((*self.reader.labels, *(table.labels if table else ()))))


def ingest(source: str | Path, out: Path, options: IngestOptions) -> Summary:
    """Make the dataset ``out`` of ``source``. Raises UserError.

    The result depends on the source, the sidecar files, the key, the recipe and the split seed; never
    on who does the readings, on where things lie or on how often the run was interrupted.
    """
    if options.screening.burned_in in READING:
        require_ocr()
    if options.on is not None:
        source, options = _absolute(str(source), options)
    _refuse_nesting(str(source), out, options)
    if not path_beside(out).exists():
        _refuse_existing(out, options)
    given = _opened(str(source), out, options)
    execute = _executor(given, options)
    with disk_errors(out), Workplace(out, _settings(given, options)) as place:
        if _is_filled(out, place.journal):
            summary = _summary(given, place.journal)
        else:
            _refuse_existing(out, options, place.journal)
            collect(given.reader, source, _work(given, options), given.sidecars, place, execute)
            try:
                decide(place.journal, Pseudonyms(given.key), options.split_seed)
                summary = _summary(given, place.journal)
                _require_films(summary, source)
            except UserError:
                place.done()  # going on would lead to the same
                raise
            _write(out, given, options, place, summary)
        place.done()
    return summary


def _work(given: _Given, options: IngestOptions) -> Work:
    return Work(options.recipe, given.masks, options.screening, options.previews, given.sidecars.with_reports)


def _opened(source: str, out: Path, options: IngestOptions) -> _Given:
    try:
        name, reader = open_reader(source, options.reader, ReaderOptions(options.images_csv, options.uncertain))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror or type(error).__name__})", where=source) from None
    sidecars = Sidecars(
        FilmTable(options.labels) if options.labels else None,
        ReportTable(options.reports) if options.reports else None,
        options.with_reports or options.reports is not None,
    )
    masks = open_masks(options.masks) if options.masks else None
    # A key that was made for ``out`` before is used again.
    key_path = options.key or out.with_name(f"{out.name}.key")
    key = read_key(key_path) if options.key or key_path.exists() else new_key()
    return _Given(source, name, reader, sidecars, masks, key_path, key)


def _absolute(source: str, options: IngestOptions) -> tuple[str, IngestOptions]:
    """What a cluster's workers will open, by names that hold in whatever directory they run."""
    masks = options.masks and options.masks.absolute()
    return os.path.abspath(source) if os.path.exists(source) else source, replace(options, masks=masks)


def _executor(given: _Given, options: IngestOptions) -> Execute:
    if options.on is not None:
        from raydino.dicom.cluster import cluster_map, require_address

        require_address(options.on)
        needed = [Path(given.source)] if os.path.exists(given.source) else []
        needed += [options.masks] if options.masks else []
        return partial(
            cluster_map, address=options.on, needed=needed, timeout_seconds=FILE_SECONDS, prepare=prepare_worker
        )
    workers = max(1, min(options.workers, given.reader.total() or options.workers))
    return partial(process_map, workers=workers, timeout_seconds=FILE_SECONDS, prepare=prepare_worker)


def _settings(given: _Given, options: IngestOptions) -> dict[str, str]:
    """All that a reading depends on, by the option that says it; digests, for some of it is private."""
    source = Path(given.source)
    # A directory's files are looked at one by one; an archive in one file is what it was as a whole.
    state = (source.stat().st_size, source.stat().st_mtime_ns) if os.path.isfile(source) else None
    masks = given.masks
    said: dict[str, object] = {
        "raydino": __version__,
        "SOURCE": (str(source.resolve()) if os.path.exists(source) else given.source, state),
        "--reader": given.reader_name,
        "--shorter-side or --bits": sorted(options.recipe.resolved().items()),
        "--keep, --burned-in or --smallest-side": sorted(options.screening.resolved().items()),
        "--previews": options.previews,
        "--uncertain": options.uncertain,
        "--with-reports": given.sidecars.with_reports,
        "--images-csv": _content(options.images_csv),
        "--labels": _content(options.labels),
        "--reports": _content(options.reports),
        "--masks": masks and [(p.as_posix(), p.stat().st_size, p.stat().st_mtime_ns) for p in masks.files()],
    }
    return {
        name: hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()
        for name, value in said.items()
    }


def _content(path: Path | None) -> str | None:
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


def _write(out: Path, given: _Given, options: IngestOptions, place: Workplace, summary: Summary) -> None:
    config = {
        "pixels": options.recipe.resolved(),
        "labels": list(given.labels),
        "structures": list(summary.masks),
        "reader": given.reader_name,
        "uncertain": options.uncertain,
        "split": {"seed": options.split_seed, "fractions": FRACTIONS},
        "retain_institution": options.retain_institution,
        "screening": options.screening.resolved(),
    }
    with creating(out, DATASET, config=config, seed=options.split_seed, overwrite=options.overwrite) as directory:
        store(
            directory,
            place,
            total=summary.images,
            source=cohort_of(given.reader_name, given.reader),
            labels=given.labels,
            pseudonyms=Pseudonyms(given.key),
            retain_institution=options.retain_institution,
        )
        if not given.key_path.exists():
            write_private(given.key_path, given.key.hex() + "\n")
        if options.crosswalk:
            place.journal.set({"crosswalk": str(options.crosswalk.resolve())})
            write_private(options.crosswalk, _crosswalk(place.journal))
        place.journal.set({"filled": _inode(directory)})


def _summary(given: _Given, journal: Journal) -> Summary:
    return summarise(journal, given.labels, given.reader, given.sidecars, given.masks, given.key_path)


def _is_filled(out: Path, journal: Journal) -> bool:
    """Whether a run was killed between the end of its work and its leaving: the directory got its name already."""
    return out.is_dir() and journal.get("filled") == _inode(out)


def _inode(directory: Path) -> str:
    found = directory.stat()
    return f"{found.st_dev}:{found.st_ino}"


def _refuse_existing(out: Path, options: IngestOptions, journal: Journal | None = None) -> None:
    refuse_existing(out, overwrite=options.overwrite, schema=DATASET)
    crosswalk = options.crosswalk
    if crosswalk is None or not crosswalk.exists() or options.overwrite:
        return
    if journal is None or journal.get("crosswalk") != str(crosswalk.resolve()):  # else a killed run wrote it
        raise UserError("already exists", where=crosswalk, remedy="choose another name or add --overwrite")


def _refuse_nesting(source: str, out: Path, options: IngestOptions) -> None:
    target = out.resolve()
    for path in filter(None, (options.crosswalk, options.key)):
        if path.resolve().is_relative_to(target):
            raise UserError("must not lie inside the dataset", where=path, remedy="keep it apart: it names patients")
    inputs = (options.key, options.labels, options.reports, options.images_csv)
    if options.crosswalk and options.crosswalk.resolve() in [path.resolve() for path in inputs if path]:
        raise UserError("is an input, so the crosswalk cannot be written there", where=options.crosswalk)
    if not os.path.exists(source):
        return
    origin = Path(source).resolve()
    if target.is_relative_to(origin):
        raise UserError("lies inside SOURCE", where=out, remedy="choose an --out beside it: SOURCE stays as it is")
    if origin.is_relative_to(target):
        raise UserError("holds SOURCE, which would be lost", where=out, remedy="choose another --out")


def _require_films(summary: Summary, source: str | Path) -> None:
    if summary.accepted:
        return
    listed = ", ".join(f"{reason} {count}" for reason, count in summary.rejected.items())
    remedy = None
    if summary.rejected.keys() <= {"not_dicom"}:
        remedy = "DICOM files are needed here, or images with a CSV (--images-csv)"
    raise UserError(f"no chest radiograph found among {summary.images} files ({listed})", where=source, remedy=remedy)


def _crosswalk(journal: Journal) -> Iterator[str]:
    """The lines of the CSV that leads back from sample_id."""
    header: Sequence[Any] = ("sample_id", "path", "patient_id", "sop_instance_uid")
    yield _csv_line(header)
    for row in journal.rows():
        yield _csv_line((row.sample_id, row.entry.name, row.entry.stated_patient, row.entry.uid))


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
