from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from raydino.dicom.assemble import Sidecars, decide, entry_of
from raydino.dicom.deidentify import Pseudonyms
from raydino.dicom.film import Reading
from raydino.dicom.journal import Entry, Journal, Row
from raydino.errors import UserError
from raydino.readers.base import Known, SourceImage
from raydino.readers.report_table import ReportTable

NAMES = Pseudonyms(b"k" * 32)


def decided(path: Path, entries: Iterable[Entry]) -> dict[str, Row]:
    """The rows of ``entries``, listed in this order, by their stated patient."""
    journal = Journal(path)
    journal.begin_listing()
    for entry in entries:
        listed = journal.enlist(SourceImage(entry.name))
        assert listed is not None
        journal.record(listed.id, entry, None, {}, spool_end=0)
    decide(journal, NAMES, split_seed=0)
    rows = list(journal.rows())
    assert [row.sample_id for row in rows] == sorted({row.sample_id for row in rows})
    return {row.entry.stated_patient: row for row in rows}


def film(name: str, uid: str, content: str, patient: str = "P", **facts: str) -> Entry:
    facts = {"stated_patient": name, **facts}
    return Entry(name, uid=uid, content_sha256=content, patient=patient, **facts)  # type: ignore[arg-type]


FILMS = [
    film("a", "1", "one"),
    film("b", "1", "two"),  # the UID of a
    film("c", "2", "two"),  # the content of b, which doesn't count as b is none
    film("d", "2", "one"),  # the content of a goes before the UID of c
    film("e", "", "three"),
    film("f", "3", "three"),
    film("g", "", "four"),
]


@pytest.mark.parametrize("order", [1, -1])
def test_duplicates_in_whatever_order_they_were_read(tmp_path: Path, order: int) -> None:
    rows = decided(tmp_path / "journal", FILMS[::order])
    assert {name for name, row in rows.items() if row.accepted} == {"a", "c", "e", "g"}
    originals = {name: (row.duplicate_of, row.entry.detail) for name, row in rows.items() if not row.accepted}
    assert originals == {
        "b": (rows["a"].sample_id, "the same SOP Instance UID as another film"),
        "d": (rows["a"].sample_id, "the same SOP Instance UID and content as another film"),
        "f": (rows["e"].sample_id, "the same content as another film"),
    }
    assert rows["a"].sample_id == NAMES.sample("1")
    assert rows["b"].sample_id == NAMES.sample("rejected:2:1")
    assert rows["e"].sample_id == NAMES.sample("file:e")
    assert rows["a"].split == rows["c"].split
    assert rows["b"].split is None


def test_deciding_twice_is_deciding_once(tmp_path: Path) -> None:
    rows = decided(tmp_path / "journal", FILMS)
    journal = Journal(tmp_path / "journal")
    decide(journal, NAMES, split_seed=0)
    assert {row.entry.stated_patient: row for row in journal.rows()} == rows


def test_two_images_of_one_name_are_two_rows(tmp_path: Path) -> None:
    entries = [
        film("x", "", "one", stated_patient="first"),
        film("x", "", "two", stated_patient="second"),
        Entry("y", reason="unreadable", stated_patient="third"),
        Entry("y", reason="unreadable", stated_patient="fourth"),
    ]
    rows = decided(tmp_path / "journal", entries)
    assert {name: row.accepted for name, row in rows.items()} == {
        "first": True,
        "second": True,
        "third": False,
        "fourth": False,
    }
    assert rows["first"].sample_id == NAMES.sample("file:x")
    assert rows["third"].sample_id == NAMES.sample("rejected:1:file:y")


def test_a_torn_patient_counts_only_accepted_films(tmp_path: Path) -> None:
    copies = [film("a", "1", "one", official_split="test"), film("b", "1", "one", official_split="train")]
    assert decided(tmp_path / "copies", copies)["a"].split == "test"
    with pytest.raises(UserError, match="1 patients"):
        decided(tmp_path / "torn", [*copies, film("c", "2", "two", official_split="val")])


def test_reports_of_the_source_are_kept_only_when_asked_for(tmp_path: Path) -> None:
    image = SourceImage("a.png", known=Known(patient_id="P", study_id="S"), report="No effusion.")
    reading = Reading(reason="blank")
    assert entry_of(image, reading, Sidecars()).report is None
    assert entry_of(image, reading, Sidecars(with_reports=True)).report == "No effusion."
    (tmp_path / "reports.csv").write_text("file,text\na.png,Effusion.\n")
    table = ReportTable(tmp_path / "reports.csv")
    found = entry_of(image, reading, Sidecars(reports=table, with_reports=True))
    assert (found.report, found.report_line) == ("Effusion.", 2)
