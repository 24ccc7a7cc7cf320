"""From readings to the dataset's rows: what is known of each film, duplicates, pseudonyms, splits.

Everything is decided in an order that depends on the films alone (SOP Instance UID, then name), so
neither the number of workers nor the kind of source changes a dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from raydino.dicom.collect import Collected
from raydino.dicom.deidentify import Pseudonyms
from raydino.dicom.header import sex_of, view_of
from raydino.dicom.splits import split_patients
from raydino.readers.base import Known
from raydino.readers.film_table import FilmTable
from raydino.readers.report_table import ReportTable


@dataclass(frozen=True)
class Sidecars:
    """What was given beside the source; None for what was not."""

    labels: FilmTable | None = None
    reports: ReportTable | None = None


@dataclass(frozen=True)
class Entry:
    """One row of the dataset before it is written. Names in ``known`` are the source's own."""

    collected: Collected
    sample_id: str
    sop_instance_uid: str
    known: Known
    labels: Mapping[str, float | None]
    report: str | None
    row_line: int | None = None  # of the labels CSV
    report_line: int | None = None
    reason: str | None = None
    detail: str | None = None
    duplicate_of: str | None = None
    split: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether it enters the dataset as a film."""
        return self.reason is None


def assemble(
    collected: Sequence[Collected], sidecars: Sidecars, pseudonyms: Pseudonyms, split_seed: int
) -> list[Entry]:
    """All rows, accepted and rejected, in order of sample_id. Raises UserError on torn patients."""
    entries = [_entry(one, sidecars, pseudonyms) for one in collected]
    entries.sort(key=lambda entry: (entry.sop_instance_uid, entry.collected.image.name))
    entries = _with_rejected_named(_without_duplicates(entries), pseudonyms)
    accepted = [entry for entry in entries if entry.accepted]
    splits = split_patients([(entry.known.patient_id or "", entry.known.split) for entry in accepted], split_seed)
    entries = [replace(e, split=splits[e.known.patient_id or ""]) if e.accepted else e for e in entries]
    return sorted(entries, key=lambda entry: entry.sample_id)


def _entry(collected: Collected, sidecars: Sidecars, pseudonyms: Pseudonyms) -> Entry:
    image, reading = collected.image, collected.reading
    header = reading.header
    uid = header.sop_instance_uid if header else ""
    row = sidecars.labels.find(uid, image.name) if sidecars.labels else None
    known = _merged(collected, row.known if row else Known())
    own_name = uid or f"file:{image.name}"
    report = image.report
    found = sidecars.reports.find(uid, image.name, known.study_id or "") if sidecars.reports else None
    known = replace(
        known,
        patient_id=known.patient_id or (f"study:{known.study_id}" if known.study_id else f"film:{own_name}"),
        study_id=known.study_id or f"film:{own_name}",
    )
    given = dict(image.labels)
    given.update({name: value for name, value in (row.labels if row else {}).items() if value is not None})
    return Entry(
        collected,
        sample_id=pseudonyms.sample(own_name),
        sop_instance_uid=uid,
        known=known,
        labels=given,
        report=found[1] if found else report,
        row_line=row.line if row else None,
        report_line=found[0] if found else None,
        reason=reading.reason,
        detail=reading.film.turn if reading.film else reading.detail,
    )


def _merged(collected: Collected, row: Known) -> Known:
    """The header's facts; where it is silent those of the source, then those of the labels CSV."""
    header, image = collected.reading.header, collected.image.known
    mine = Known()
    if header:
        mine = Known(
            patient_id=header.patient_id or None,
            study_id=header.study_instance_uid or None,
            view=None if header.view == "UNKNOWN" else header.view,
            age_years=header.age_years,
            sex=None if header.sex == "UNKNOWN" else header.sex,
            population=header.population or None,
            site=header.institution or None,
        )

    def first(field: str) -> str | None:
        return next((v for source in (mine, image, row) if (v := getattr(source, field)) is not None), None)

    return Known(
        patient_id=first("patient_id"),
        study_id=first("study_id"),
        view=view_of(first("view") or ""),
        split=row.split or image.split,
        age_years=next((k.age_years for k in (mine, image, row) if k.age_years is not None), None),
        sex=sex_of(first("sex") or ""),
        population=first("population"),
        site=first("site"),
        race=first("race"),
        insurance=first("insurance"),
        spacing_mm=image.spacing_mm,
    )


def _with_rejected_named(entries: Sequence[Entry], pseudonyms: Pseudonyms) -> list[Entry]:
    """Rejected rows get names of their own: only an accepted film is named by its UID alone.

    The names come from UID and number of the copy, so they are the same from a folder and from a PACS.
    """
    copies: Counter[str] = Counter()
    named = []
    for entry in entries:
        own_name = entry.sop_instance_uid or f"file:{entry.collected.image.name}"
        copies[own_name] += 1
        rejected = pseudonyms.sample(f"rejected:{copies[own_name]}:{own_name}")
        named.append(entry if entry.accepted else replace(entry, sample_id=rejected))
    return named


def _without_duplicates(entries: Sequence[Entry]) -> list[Entry]:
    """Reject each film whose SOP Instance UID or whose content an earlier one has."""
    by_uid: dict[str, str] = {}
    by_content: dict[str, str] = {}
    judged = []
    for entry in entries:
        film = entry.collected.reading.film
        if film is None:
            judged.append(entry)
            continue
        same_uid = by_uid.get(entry.sop_instance_uid) if entry.sop_instance_uid else None
        same_content = by_content.get(film.sha256)
        if original := same_content or same_uid:
            what = "SOP Instance UID" if same_uid else "content"
            both = "SOP Instance UID and content" if same_uid and same_content else what
            entry = replace(
                entry,
                reason="duplicate",
                detail=f"the same {both} as another film",
                duplicate_of=original,
            )
        else:
            by_content[film.sha256] = entry.sample_id
            if entry.sop_instance_uid:
                by_uid[entry.sop_instance_uid] = entry.sample_id
        judged.append(entry)
    return judged
