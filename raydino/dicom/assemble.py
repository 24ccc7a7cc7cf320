"""From readings to the dataset's rows: what is known of each film, duplicates, pseudonyms.

``entry_of`` brings together what header, source and sidecars say of one image, as it is read;
``decide`` passes a verdict on each when all are known. Everything is decided in an order that depends
on the films alone (SOP Instance UID, then name), so neither the number of workers nor the kind of
source changes a dataset. Neighbours: ``journal`` keeps both, ``splits`` deals the patients.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass

from raydino.dicom.deidentify import Pseudonyms
from raydino.dicom.film import Reading
from raydino.dicom.header import sex_of, view_of
from raydino.dicom.journal import Entry, Journal
from raydino.dicom.scrub import scrub
from raydino.dicom.splits import split_patients
from raydino.errors import UserError
from raydino.readers.base import Known, SourceImage
from raydino.readers.film_table import FilmTable
from raydino.readers.report_table import ReportTable


@dataclass(frozen=True)
class Sidecars:
    """What was given beside the source, None for what was not; and whether the source's own reports count."""

    labels: FilmTable | None = None
    reports: ReportTable | None = None
    with_reports: bool = False


def entry_of(image: SourceImage, reading: Reading, sidecars: Sidecars) -> Entry:
    """All that is known of an image."""
    header, film = reading.header, reading.film
    uid = header.sop_instance_uid if header else ""
    row = sidecars.labels.find(uid, image.name) if sidecars.labels else None
    known = _merged(image, reading, row.known if row else Known())
    study = known.study_id
    found = sidecars.reports.find(uid, image.name, study or "") if sidecars.reports else None
    report = found[1] if found else image.report if sidecars.with_reports else None
    stated_patient = (header.patient_id if header else "") or image.known.patient_id or ""
    identifiers = (*(header.identifiers if header else ()), *filter(None, (known.patient_id, study)))
    tells = header is not None or film is not None
    own_name = uid or f"file:{image.name}"
    given = dict(image.labels)
    given.update({name: value for name, value in (row.labels if row else {}).items() if value is not None})
    return Entry(
        image.name,
        reason=reading.reason,
        detail=film.detail if film else reading.detail,
        uid=uid,
        patient=(known.patient_id or (f"study:{study}" if study else f"film:{own_name}")) if tells else None,
        study=(study or f"film:{own_name}") if tells else None,
        study_year=header.study_year if header else None,
        stated_patient=stated_patient,
        official_split=known.split,
        modality=(header.modality or None) if header else None,
        manufacturer=(header.manufacturer or None) if header else None,
        view=known.view if tells else None,
        rows=film.rows if film else None,
        cols=film.cols if film else None,
        bits_stored=reading.source_bits,
        spacing_mm=film.spacing_mm if film else None,
        photometric=header.photometric if header else None,
        transfer_syntax=header.transfer_syntax if header else None,
        voi=film.voi if film else None,
        content_sha256=film.sha256 if film else None,
        age_years=known.age_years,
        sex=known.sex or "UNKNOWN",
        population=known.population or "",
        site=known.site or "",
        race=known.race or "",
        insurance=known.insurance or "",
        cardiothoracic_ratio=known.cardiothoracic_ratio,
        report=scrub(report, identifiers) if report else None,
        row_line=row.line if row else None,
        report_line=found[0] if found else None,
        labels=given,
    )


def _merged(image: SourceImage, reading: Reading, row: Known) -> Known:
    """The header's facts; where it is silent those of the source, then those of the labels CSV.

    Only the patient is the source's first: a reader knows films of one patient whose headers tell apart.
    """
    header, given = reading.header, image.known
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
        return next((v for source in (mine, given, row) if (v := getattr(source, field)) is not None), None)

    return Known(
        patient_id=given.patient_id or first("patient_id"),
        study_id=first("study_id"),
        view=view_of(first("view") or ""),
        split=row.split or given.split,
        age_years=next((k.age_years for k in (mine, given, row) if k.age_years is not None), None),
        sex=sex_of(first("sex") or ""),
        population=first("population"),
        site=first("site"),
        race=first("race"),
        insurance=first("insurance"),
        spacing_mm=given.spacing_mm,
        cardiothoracic_ratio=next(
            (k.cardiothoracic_ratio for k in (given, row) if k.cardiothoracic_ratio is not None), None
        ),
    )


_VERDICTS = """
DROP TABLE IF EXISTS verdicts;
CREATE TABLE verdicts (
    image INTEGER PRIMARY KEY, sample_id TEXT, reason TEXT, detail TEXT, duplicate_of TEXT, split TEXT,
    uid TEXT, content TEXT, patient TEXT, official_split TEXT  -- these four only of accepted films
);
CREATE UNIQUE INDEX by_sample ON verdicts (sample_id);
CREATE INDEX by_uid ON verdicts (uid);
CREATE INDEX by_content ON verdicts (content);
CREATE INDEX by_patient ON verdicts (patient, official_split);
"""


@dataclass(frozen=True)
class Verdict:
    """A row of the table ``verdicts``; the last four stand only for accepted films."""

    image: int
    sample_id: str
    reason: str | None = None
    detail: str | None = None
    duplicate_of: str | None = None
    split: str | None = None
    uid: str | None = None
    content: str | None = None
    patient: str | None = None
    official_split: str | None = None


def decide(journal: Journal, pseudonyms: Pseudonyms, split_seed: int) -> None:
    """A verdict on each image of ``journal``. Raises UserError on torn patients."""
    journal.sql.executescript(_VERDICTS)
    images = journal.sql.execute(
        "SELECT id, name, uid, content_sha256, reason, detail, patient, official_split "
        "FROM images ORDER BY uid, name, nth"
    )
    previous, copy = None, 0
    for number, name, uid, content, reason, detail, patient, official_split in images:
        own_name = uid or f"file:{name}"
        previous, copy = own_name, copy + 1 if own_name == previous else 1
        # Only an accepted film is named by its UID alone: a rejected one must have another name, and the same
        # from a folder and from a PACS.
        rejected = pseudonyms.sample(f"rejected:{copy}:{own_name}")
        if reason is not None:
            verdict = Verdict(number, rejected, reason, detail)
        elif original := _original(journal, uid, content):
            sample_id, same = original
            verdict = Verdict(number, rejected, "duplicate", f"the same {same} as another film", sample_id)
        else:
            verdict = Verdict(
                number,
                pseudonyms.sample(own_name if uid or copy == 1 else f"{own_name}\0{copy}"),
                detail=detail,
                uid=uid or None,
                content=content,
                patient=patient,
                official_split=official_split,
            )
        try:
            journal.sql.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(verdict))
        except sqlite3.IntegrityError:
            raise UserError("two films have one pseudonym", remedy="choose another key") from None
    split_patients(journal.sql, split_seed)
    journal.sql.commit()


def _original(journal: Journal, uid: str, content: str) -> tuple[str, str] | None:
    """The sample_id of the accepted film that has this content, else this UID; and what is the same."""
    find = "SELECT sample_id FROM verdicts WHERE {} = ?"
    same_content = journal.sql.execute(find.format("content"), (content,)).fetchone()
    same_uid = journal.sql.execute(find.format("uid"), (uid,)).fetchone() if uid else None
    if same_content and same_uid:
        return same_content[0], "SOP Instance UID and content"
    if found := same_content or same_uid:
        return found[0], "content" if same_content else "SOP Instance UID"
    return None
