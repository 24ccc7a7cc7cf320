"""Write assembled rows as a dataset: shards, masks and the five tables of ``artifacts.dataset``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from raydino.artifacts.dataset import DEMOGRAPHICS, LABELS, MANIFEST, REPORTS
from raydino.artifacts.images import Location, ShardWriter
from raydino.artifacts.table import Table
from raydino.dicom.assemble import Entry
from raydino.dicom.collect import Spool
from raydino.dicom.deidentify import Pseudonyms, stated
from raydino.errors import UserError
from raydino.tracking import track


def store(
    directory: Path,
    entries: Sequence[Entry],
    spool: Spool,
    *,
    source: str,
    labels: Sequence[str],
    pseudonyms: Pseudonyms,
    retain_institution: bool,
) -> None:
    """Fill ``directory``. ``entries`` come in order of sample_id; ``source`` is the cohort's name."""
    accepted = [entry for entry in entries if entry.accepted]
    locations = _write_films(directory, accepted, spool)
    rows = [_manifest_row(entry, locations.get(entry.sample_id), source, pseudonyms) for entry in entries]
    _write(MANIFEST, rows, directory)
    people = [_demographics_row(entry, pseudonyms, retain_institution) for entry in accepted]
    _write(DEMOGRAPHICS, people, directory)
    _write(LABELS, [_labels_row(entry, labels) for entry in accepted], directory)
    reports = [
        {"sample_id": e.sample_id, "study_id": pseudonyms.study(e.known.study_id or ""), "text": e.report}
        for e in accepted
        if e.report
    ]
    _write(REPORTS, reports, directory)


def _write(table: Table, rows: Sequence[Mapping[str, Any]], directory: Path) -> None:
    names = list(rows[0]) if rows else [column.name for column in table.columns]
    table.write(pd.DataFrame(rows, columns=names), directory / f"{table.name}.parquet")


def _write_films(directory: Path, accepted: Sequence[Entry], spool: Spool) -> dict[str, Location]:
    locations = {}
    with ShardWriter(directory / "images") as shards:
        for entry in track(accepted, "write"):
            if entry.sample_id in locations:
                raise UserError("two films have one pseudonym", remedy="choose another key")
            span = entry.collected.png
            assert span is not None
            locations[entry.sample_id] = shards.add(entry.sample_id, spool.get(span))
            for structure, mask in entry.collected.masks.items():
                folder = directory / "masks" / structure
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{entry.sample_id}.png").write_bytes(spool.get(mask))
    return locations


def _manifest_row(
    entry: Entry, location: Location | None, source: str, pseudonyms: Pseudonyms
) -> dict[str, str | float | None]:
    reading = entry.collected.reading
    header, film = reading.header, reading.film
    has_facts = header is not None or film is not None
    known = entry.known
    return {
        "sample_id": entry.sample_id,
        "patient_id": pseudonyms.patient(known.patient_id or "") if has_facts else None,
        "study_id": pseudonyms.study(known.study_id or "") if has_facts else None,
        "source": source,
        "split": entry.split,
        "official_split": known.split,
        "modality": (header.modality or None) if header else None,
        "manufacturer": None,
        "view": known.view if has_facts else None,
        "rows": film.rows if film else None,
        "cols": film.cols if film else None,
        "bits_stored": reading.source_bits,
        "spacing_mm": film.spacing_mm if film else None,
        "photometric": header.photometric if header else None,
        "transfer_syntax": header.transfer_syntax if header else None,
        "voi": film.voi if film else None,
        "content_sha256": film.sha256 if film else None,
        "duplicate_of": entry.duplicate_of,
        "status": "accepted" if entry.accepted else "rejected",
        "reason": entry.reason,
        "detail": entry.detail,
        "shard": location.shard if location else None,
        "offset": location.offset if location else None,
        "length": location.length if location else None,
    }


def _demographics_row(entry: Entry, pseudonyms: Pseudonyms, retain_institution: bool) -> dict[str, str | float | None]:
    known = entry.known
    return {
        "sample_id": entry.sample_id,
        "patient_id": pseudonyms.patient(known.patient_id or ""),
        "age_years": known.age_years,
        "sex": known.sex,
        "population": stated(known.population or ""),
        "site": pseudonyms.site(known.site or "", retain=retain_institution),
        "race": stated(known.race or ""),
        "insurance": stated(known.insurance or ""),
    }


def _labels_row(entry: Entry, labels: Sequence[str]) -> dict[str, str | float | None]:
    return {"sample_id": entry.sample_id, **{label: entry.labels.get(label) for label in labels}}
