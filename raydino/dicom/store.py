"""Write the journal's rows as a dataset: shards, masks and the tables of ``artifacts.dataset``, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from raydino.artifacts.dataset import DEMOGRAPHICS, LABELS, MANIFEST, MEASUREMENTS, REPORTS
from raydino.artifacts.images import Location, ShardWriter
from raydino.dicom.deidentify import Pseudonyms, told_age
from raydino.dicom.film import PREVIEWED
from raydino.dicom.journal import Row
from raydino.dicom.spool import Span
from raydino.dicom.workplace import Workplace
from raydino.tracking import track

CARDIOTHORACIC = "cardiothoracic_ratio"


def store(
    directory: Path,
    place: Workplace,
    *,
    total: int,
    source: str,
    labels: Sequence[str],
    pseudonyms: Pseudonyms,
    retain_institution: bool,
) -> None:
    """Fill ``directory``. ``total`` is the number of rows, ``source`` the cohort's name."""
    with (
        ShardWriter(directory / "images") as shards,
        MANIFEST.writer(directory / "manifest.parquet") as manifest,
        DEMOGRAPHICS.writer(directory / "demographics.parquet") as demographics,
        LABELS.writer(directory / "labels.parquet", labels) as truths,
        REPORTS.writer(directory / "reports.parquet") as reports,
        ExitStack() as stack,
    ):
        measurements = None
        if place.journal.knows(CARDIOTHORACIC):
            writer = MEASUREMENTS.writer(directory / "measurements.parquet", [CARDIOTHORACIC])
            measurements = stack.enter_context(writer)
        for row in track(place.journal.rows(), "write", total=total):
            location = None
            if row.accepted and row.png:
                location = shards.add(row.sample_id, place.spool.get(row.png))
                _write_masks(directory / "masks", row.sample_id, row.masks, place)
                demographics.append(_demographics_row(row, pseudonyms, retain_institution))
                truths.append({"sample_id": row.sample_id, **{name: row.entry.labels.get(name) for name in labels}})
                if measurements and row.entry.cardiothoracic_ratio is not None:
                    measurements.append({"sample_id": row.sample_id, CARDIOTHORACIC: row.entry.cardiothoracic_ratio})
                if row.entry.report:
                    study_id = pseudonyms.study(row.entry.study or "")
                    reports.append({"sample_id": row.sample_id, "study_id": study_id, "text": row.entry.report})
            elif row.png and row.entry.reason in PREVIEWED:
                _write_preview(directory / "previews", row.sample_id, place.spool.get(row.png))
            manifest.append(_manifest_row(row, location, source, pseudonyms))


def _write_preview(folder: Path, sample_id: str, png: bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{sample_id}.png").write_bytes(png)


def _write_masks(directory: Path, sample_id: str, masks: Mapping[str, Span], place: Workplace) -> None:
    for structure, span in masks.items():
        folder = directory / structure
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{sample_id}.png").write_bytes(place.spool.get(span))


def _manifest_row(
    row: Row, location: Location | None, source: str, pseudonyms: Pseudonyms
) -> dict[str, str | float | None]:
    entry = row.entry
    return {
        "sample_id": row.sample_id,
        "patient_id": None if entry.patient is None else pseudonyms.patient(entry.patient),
        "study_id": None if entry.study is None else pseudonyms.study(entry.study),
        "study_year": entry.study_year,
        "source": source,
        "split": row.split,
        "official_split": entry.official_split,
        "modality": entry.modality,
        "manufacturer": entry.manufacturer,
        "view": entry.view,
        "rows": entry.rows,
        "cols": entry.cols,
        "bits_stored": entry.bits_stored,
        "spacing_mm": entry.spacing_mm,
        "photometric": entry.photometric,
        "transfer_syntax": entry.transfer_syntax,
        "voi": entry.voi,
        "content_sha256": entry.content_sha256,
        "duplicate_of": row.duplicate_of,
        "status": "accepted" if row.accepted else "rejected",
        "reason": entry.reason,
        "detail": entry.detail,
        "shard": location.shard if location else None,
        "offset": location.offset if location else None,
        "length": location.length if location else None,
    }


def _demographics_row(row: Row, pseudonyms: Pseudonyms, retain_institution: bool) -> dict[str, str | float | None]:
    entry = row.entry
    return {
        "sample_id": row.sample_id,
        "patient_id": pseudonyms.patient(entry.patient or ""),
        "age_years": told_age(entry.age_years),
        "sex": entry.sex,
        "population": pseudonyms.group("population", entry.population),
        "site": pseudonyms.site(entry.site, retain=retain_institution),
        "race": pseudonyms.group("race", entry.race),
        "insurance": pseudonyms.group("insurance", entry.insurance),
    }
