from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pytest

from raydino.dicom.journal import Entry, Journal, Listed, stamp_of
from raydino.dicom.spool import Span
from raydino.readers.base import Known, SourceImage

GIVEN = SourceImage("a", content=b"x")


def listed(journal: Journal, image: SourceImage) -> Listed:
    found = journal.enlist(image)
    assert found is not None
    return found


def read(journal: Journal, image: SourceImage, **facts: object) -> None:
    entry = Entry(image.name, **facts)  # type: ignore[arg-type]
    journal.record(listed(journal, image).id, entry, None, {}, spool_end=0)


def names(journal: Journal) -> list[tuple[str, int]]:
    return journal.sql.execute("SELECT name, nth FROM images ORDER BY name, nth").fetchall()


def test_a_read_image_is_not_listed_again_unless_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_text("one")
    image = SourceImage("film", path=path, known=Known(sex="F"))
    journal = Journal(tmp_path / "journal")
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o600
    journal.begin_listing()
    assert journal.is_empty
    read(journal, image)
    journal.sql.commit()
    journal.close()
    journal = Journal(tmp_path / "journal")
    assert not journal.is_empty
    journal.begin_listing()
    assert journal.enlist(image) is None
    for changed in (replace(image, known=Known(sex="M")), replace(image, labels={"Edema": 1.0}), image):
        read(journal, changed)
    os.utime(path, ns=(0, 0))
    read(journal, image)
    path.unlink()
    assert journal.enlist(replace(image, name="other")) is not None


def test_what_is_not_committed_is_to_be_read_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin_listing()
    read(journal, GIVEN)
    journal.close()
    journal = Journal(tmp_path / "journal")
    journal.begin_listing()
    assert journal.enlist(GIVEN) is not None


def test_images_of_one_name_stay_apart_from_run_to_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for _ in range(2):
        journal.begin_listing()
        for content in (b"1", b"2", b"3"):
            image = SourceImage("same", content=content)
            if journal.enlist(image):
                number = journal.sql.execute("SELECT max(id) FROM images").fetchone()[0]
                journal.record(number, Entry("same"), None, {}, spool_end=0)
        journal.end_listing()
        assert names(journal) == [("same", 0), ("same", 1), ("same", 2)]
    journal.begin_listing()
    assert journal.enlist(SourceImage("same", content=b"1")) is None
    assert journal.enlist(SourceImage("same", content=b"3")) is not None  # the second is another one now
    journal.end_listing()
    assert names(journal) == [("same", 0), ("same", 1)]


def test_an_image_that_the_source_no_longer_names_is_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin_listing()
    read(journal, GIVEN)
    read(journal, replace(GIVEN, name="b"))
    journal.end_listing()
    journal.begin_listing()
    assert journal.enlist(GIVEN) is None
    journal.end_listing()
    assert names(journal) == [("a", 0)]


def test_entries_come_back_as_they_were(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin_listing()
    entry = Entry(
        "a",
        uid="1.2.3",
        patient="Müller\0\udcff",
        rows=12,
        spacing_mm=0.143,
        age_years=None,
        report='"two"\nlines',
        labels={"Edema": 1.0, "Mass": 0.0, "Nodule": None},
    )
    masks = {"heart": Span(5, 2)}
    journal.record(listed(journal, GIVEN).id, entry, Span(0, 5), masks, spool_end=7)
    journal.sql.execute("CREATE TABLE verdicts (image, sample_id, reason, detail, duplicate_of, split)")
    journal.sql.execute("INSERT INTO verdicts VALUES (1, 's', NULL, 'turned', NULL, 'val')")
    (row,) = journal.rows()
    assert row.entry == replace(entry, patient="Müller\0\\udcff", detail="turned")
    assert (row.sample_id, row.split, row.accepted) == ("s", "val", True)
    assert (row.png, row.masks) == (Span(0, 5), masks)
    assert journal.spool_end == 7


def test_the_stamp_of_a_file_that_is_gone_and_of_names_that_are_no_text(tmp_path: Path) -> None:
    gone = SourceImage("x\udcff", path=tmp_path / "gone", masks={"heart": tmp_path / "gone.png"})
    before = stamp_of(gone)
    assert stamp_of(gone) == before
    (tmp_path / "gone.png").write_text("mask")
    assert stamp_of(gone) != before
    assert stamp_of(replace(gone, path=Path("a\0b"))) != before


@dataclass(frozen=True)
class Member:
    """An opener of a part of a file."""

    archive: Path
    offset: int

    def __call__(self) -> BinaryIO:
        raise OSError


def test_the_stamp_of_a_member_of_a_file_changes_with_the_file(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_text("one")
    image = SourceImage("a.zip/film", opener=Member(archive, 3))
    before = stamp_of(image)
    assert stamp_of(image) == before
    archive.write_text("other")
    assert stamp_of(image) != before


def test_no_query_over_all_rows_sorts_in_temporary_files(tmp_path: Path) -> None:
    """Those would lie outside the private directory."""
    from raydino.dicom.assemble import _VERDICTS
    from raydino.dicom.splits import _TORN

    journal = Journal(tmp_path / "journal")
    journal.sql.executescript(_VERDICTS)
    queries = [
        "SELECT id FROM images ORDER BY uid, name, nth",
        "SELECT * FROM verdicts JOIN images ON images.id = verdicts.image ORDER BY sample_id",
        "SELECT patient FROM verdicts WHERE patient IS NOT NULL GROUP BY patient",
        _TORN,
    ]
    for query in queries:
        plan = " ".join(str(step) for step in journal.sql.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert "TEMP B-TREE" not in plan, query


def test_a_broken_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(sqlite3.DatabaseError):
        Journal(tmp_path / "journal")
