"""What a run knows so far, in an SQLite file: every image of the source, and what was found in it.

A stopped run leaves it, and the next one goes on from its last commit. It holds the source's own names
(patients, files), so it lies in the ``workplace`` and goes with it. Three tables: ``state``;
``images``, a row an image, read as soon as ``spool_end`` stands; ``verdicts``, made by ``assemble``.
Every query that walks over all rows follows an index, so SQLite sorts nothing in temporary files.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from raydino.dicom.spool import Span
from raydino.readers.base import SourceImage

_CACHE_KIB = 16 * 1024


@dataclass(frozen=True)
class Entry:
    """What is known of one image; the tables hold it, with pseudonyms for names. None stands for unknown."""

    name: str
    reason: str | None = None  # a key of ``screen.REASONS``; None for a film
    detail: str | None = None
    uid: str = ""  # SOP Instance UID
    patient: str | None = None  # the source's own names; None for both where the file told nothing
    study: str | None = None
    study_year: int | None = None
    stated_patient: str = ""  # as the crosswalk says it
    official_split: str | None = None
    modality: str | None = None
    manufacturer: str | None = None
    view: str | None = None
    rows: int | None = None
    cols: int | None = None
    bits_stored: int | None = None
    spacing_mm: float | None = None
    photometric: str | None = None
    transfer_syntax: str | None = None
    voi: str | None = None
    content_sha256: str | None = None
    age_years: float | None = None
    sex: str = "UNKNOWN"
    population: str = ""
    site: str = ""
    race: str = ""
    insurance: str = ""
    cardiothoracic_ratio: float | None = None
    report: str | None = None
    row_line: int | None = None  # of the labels CSV
    report_line: int | None = None
    labels: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One row of the dataset: an entry with the verdict on it, and where its film and masks lie in the spool."""

    sample_id: str
    split: str | None
    duplicate_of: str | None
    entry: Entry
    png: Span | None  # the film, or the preview of a rejected one
    masks: Mapping[str, Span]

    @property
    def accepted(self) -> bool:
        """Whether it enters the dataset as a film."""
        return self.entry.reason is None


@dataclass(frozen=True)
class Listed:
    """An image that is to be read, and its row in the journal."""

    id: int
    stamp: str
    image: SourceImage


_FOUND = tuple(f.name for f in fields(Entry) if f.name not in ("name", "labels"))
_COLUMNS = (*_FOUND, "labels", "png_offset", "png_length", "masks", "spool_end")
_SCHEMA = f"""
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE images (
    id INTEGER PRIMARY KEY, name TEXT, nth INTEGER, stamp TEXT, run INTEGER, seen INTEGER,
    {", ".join(_COLUMNS)}, UNIQUE (name, nth)
);
CREATE INDEX in_order ON images (uid, name, nth);
"""


class Journal:
    """Raises sqlite3.Error; an interrupted change is undone by SQLite when the file is opened again."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would let others read it
        self.sql = sqlite3.connect(path)
        try:
            self.sql.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self.sql.execute("PRAGMA synchronous = NORMAL")
            if not self.sql.execute("SELECT 1 FROM sqlite_master").fetchone():
                self.sql.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            self._run = int(self.get("run") or 0)
        except sqlite3.Error:
            self.sql.close()
            raise

    def get(self, key: str) -> str | None:
        """A value of ``state``."""
        found = self.sql.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def set(self, values: Mapping[str, str]) -> None:
        """Keep values in ``state`` for good."""
        self.sql.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())
        self.sql.commit()

    @property
    def spool_end(self) -> int:
        """The bytes of the spool that rows point to."""
        return self.sql.execute("SELECT max(spool_end) FROM images").fetchone()[0] or 0

    @property
    def is_empty(self) -> bool:
        """Whether no image has been read."""
        return self.sql.execute("SELECT 1 FROM images WHERE spool_end IS NOT NULL").fetchone() is None

    def knows(self, fact: str) -> bool:
        """Whether this fact, a field of ``Entry``, is known of any image."""
        return self.sql.execute(f"SELECT 1 FROM images WHERE {fact} IS NOT NULL").fetchone() is not None

    def begin_listing(self) -> None:
        """From here on the source names its images anew."""
        self._run += 1
        self.set({"run": str(self._run)})

    def enlist(self, image: SourceImage) -> Listed | None:
        """Note that the source names ``image``; None where it has been read and is the same still."""
        name, stamp = plain(image.name), stamp_of(image)
        nth = self._how_many_before(name)
        known = self.sql.execute(
            "SELECT id, stamp, spool_end IS NOT NULL FROM images WHERE name = ? AND nth = ?", (name, nth)
        ).fetchone()
        if known is None:
            row = (name, nth, stamp, self._run, 1)
            added = self.sql.execute("INSERT INTO images (name, nth, stamp, run, seen) VALUES (?, ?, ?, ?, ?)", row)
            return Listed(int(added.lastrowid or 0), stamp, image)
        number, old_stamp, is_read = known
        if is_read and old_stamp == stamp:
            self.sql.execute("UPDATE images SET run = ? WHERE id = ?", (self._run, number))
            return None
        self.sql.execute(
            "UPDATE images SET run = ?, stamp = ?, spool_end = NULL WHERE id = ?", (self._run, stamp, number)
        )
        return Listed(number, stamp, image)

    def _how_many_before(self, name: str) -> int:
        """How often this listing named ``name`` already; the first row of the name counts."""
        first = self.sql.execute("SELECT id, run, seen FROM images WHERE name = ? AND nth = 0", (name,)).fetchone()
        if first is None:
            return 0
        number, run, seen = first
        before = int(seen) if run == self._run else 0
        self.sql.execute("UPDATE images SET run = ?, seen = ? WHERE id = ?", (self._run, before + 1, number))
        return before

    def end_listing(self) -> None:
        """Forget the images that the source no longer names."""
        self.sql.execute("DELETE FROM images WHERE run != ?", (self._run,))
        self.sql.commit()

    def record(self, number: int, entry: Entry, png: Span | None, masks: Mapping[str, Span], spool_end: int) -> None:
        """What was found in an image. It stays from the next commit on."""
        found = [plain(value) if isinstance(value, str) else value for value in map(entry.__getattribute__, _FOUND)]
        where = json.dumps({structure: astuple(span) for structure, span in masks.items()})
        values = (*found, json.dumps(dict(entry.labels)), png and png.offset, png and png.length, where, spool_end)
        assigned = ", ".join(f"{column} = ?" for column in _COLUMNS)
        self.sql.execute(f"UPDATE images SET {assigned} WHERE id = ?", (*values, number))

    def rows(self) -> Iterator[Row]:
        """All rows, accepted and rejected, in order of sample_id."""
        columns = ", ".join(f"images.{column}" for column in ("name", *_COLUMNS[:-1]))
        found = self.sql.execute(
            f"SELECT sample_id, split, duplicate_of, verdicts.reason, verdicts.detail, {columns} "
            "FROM verdicts JOIN images ON images.id = verdicts.image ORDER BY sample_id"
        )
        for sample_id, split, duplicate_of, reason, detail, name, *values in found:
            *facts, labels, offset, length, masks = values
            entry = Entry(name, **dict(zip(_FOUND, facts, strict=True)), labels=json.loads(labels))
            yield Row(
                sample_id,
                split,
                duplicate_of,
                replace(entry, reason=reason, detail=detail),
                None if offset is None else Span(offset, length),
                {structure: Span(*where) for structure, where in json.loads(masks).items()},
            )

    def close(self) -> None:
        """Release the file. What was not committed is lost."""
        self.sql.close()


def plain(text: str) -> str:
    """``text`` as UTF-8 can hold it; a file's name may have bytes that are none."""
    return text.encode("utf-8", "backslashreplace").decode()


def stamp_of(image: SourceImage) -> str:
    """Changes when the image does, as far as that is seen without reading it, or what the source says of it."""
    said = replace(image, path=None, content=None, opener=None, masks={}, labels=dict(image.labels))
    content = hashlib.sha256(image.content).digest() if image.content is not None else None
    masks = {structure: _files_state(source) for structure, source in sorted(image.masks.items())}
    state = (_files_state(image.path), _files_state(image.opener), content, masks, said)
    return hashlib.sha256(repr(state).encode("utf-8", "backslashreplace")).hexdigest()


def _files_state(source: object) -> object:
    """Size and time of a file, or of the files that an opener or a maker of a mask has among its fields."""
    if isinstance(source, Path):
        try:
            found = source.stat()
        except (OSError, ValueError):
            return None
        return found.st_size, found.st_mtime_ns
    if is_dataclass(source):
        return [_files_state(getattr(source, f.name)) for f in fields(source)]
    return None
