"""What the readers of public data sets share: a table with a row a film, and what was published about it.

A subclass reads its tables in ``_read`` and says what a row means; here are the order of the films, what
is missing on disk or in the tables, and how the counts compare to the published ones. Rows whose file is
missing stay, as unreadable films. Names of films don't depend on where the files lie.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, SourceImage, require_directory
from raydino.readers.film_table import read_csv
from raydino.readers.vocabulary import truth

Row = Mapping[str, Any]
IMAGES = (".png", ".jpg", ".jpeg")
TRAIN_OR_VAL = "train or val"  # an official set for both, dealt by ``train_or_val``
BROKEN = "cut short or no image, as public readers of the data set list it"
VALIDATION_SHARE = 0.1  # of the patients of an official set for training and validation
OLDEST_YEARS = 120
_CHUNK = 4096


class Cohort(ABC):
    """Implements ``Reader``. ``marks`` are glob patterns of which each must find something in the source."""

    title: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]
    suffixes: ClassVar[tuple[str, ...]] = IMAGES  # of the films, lower case
    published: ClassVar[tuple[tuple[str, int], ...]] = ()  # what is counted, and how many there are in all
    corrupt: ClassVar[frozenset[str]] = frozenset()  # names of files that cannot be read
    splits: ClassVar[tuple[tuple[str, str], ...]] = ()  # the source's word, and train, val, test or TRAIN_OR_VAL
    site: ClassVar[str | None] = None
    population: ClassVar[str | None] = None

    def __init__(self, source: str, options: ReaderOptions) -> None:
        if options.table is not None:
            raise UserError(
                f"--images-csv is for image files without a data set's own tables, and this is {self.title}",
                remedy="leave it out; further labels come with --labels",
            )
        self.source = require_directory(source)
        self.uncertain = options.uncertain
        self.labels: tuple[str, ...] = ()
        self.left_out: dict[str, str] = {}
        self.notes: Sequence[str] = ()
        self.on_disk = tuple(_files(self.source, self.suffixes))
        self._notes: list[str] = []
        rows = self._read()
        if rows.empty:
            raise UserError(f"lists no film of {self.title}", where=source)
        self._rows = rows.drop_duplicates("name").sort_values("name", ignore_index=True)
        if twice := len(rows) - len(self._rows):
            self._notes.append(f"{twice:,} rows are of a film that is listed already")
        self._compare()
        self.notes = tuple(self._notes)

    @classmethod
    def recognises(cls, source: str) -> bool:
        try:
            return all(any(Path(source).glob(mark)) for mark in cls.marks)
        except (OSError, ValueError):
            return False

    def total(self) -> int | None:
        return len(self._rows)

    def images(self) -> Iterator[SourceImage]:
        for start in range(0, len(self._rows), _CHUNK):
            for row in self._rows.iloc[start : start + _CHUNK].to_dict("records"):
                yield self._image(row)

    @abstractmethod
    def _read(self) -> pd.DataFrame:
        """A row a film: ``name``, ``path`` below the source (``""`` where it is missing), ``patient``,
        ``official`` (a key of ``splits``; either ``""`` where unknown), and what the other methods want.
        Sets ``labels`` and ``left_out``."""

    @abstractmethod
    def _known(self, row: Row) -> Known:
        """Facts beside patient, split, site and population."""

    @abstractmethod
    def _labels(self, row: Row) -> dict[str, float | None]:
        """Present, absent or unknown by finding."""

    def _report(self, row: Row) -> str | None:
        """The report's text."""
        return None

    def _image(self, row: Row) -> SourceImage:
        known = self._known(row)
        known = replace(
            known,
            patient_id=row["patient"] or None,
            split=self._split(row),
            site=known.site or self.site,
            population=known.population or self.population,
        )
        path = row["path"] or row["name"]
        return SourceImage(
            row["name"],
            path=self.source / path,
            is_dicom=PurePosixPath(path).suffix.lower() not in IMAGES,
            known=known,
            labels=self._labels(row),
            report=self._report(row),
            known_corrupt=BROKEN if PurePosixPath(row["name"]).name in self.corrupt else None,
            chest_film=True,
        )

    def _split(self, row: Row) -> str | None:
        split = dict(self.splits).get(row["official"])
        return train_or_val(row["patient"] or row["name"]) if split == TRAIN_OR_VAL else split

    def _compare(self) -> None:
        here: Counter[str] = Counter(films=len(self._rows), patients=len(set(self._rows["patient"]) - {""}))
        here.update(f"{official} films" for official in self._rows["official"] if official)
        for what, number in self.published:
            if here[what] != number:
                self._notes.append(f"{number:,} {what} are published, {here[what]:,} are here")
        listed = set(self._rows["path"]) - {""}
        lacking = int((self._rows["path"] == "").sum())
        unlisted = sum(name not in listed for name in self.on_disk)
        if lacking:
            self._notes.append(f"{lacking:,} listed films are missing")
        if unlisted:
            self._notes.append(f"{unlisted:,} image files are listed nowhere and left out")


def _files(source: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Relative paths of the files with one of ``suffixes``, in order. Links to folders are not followed."""
    found = []
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder).relative_to(source)
        found += [
            (below / file).as_posix()
            for file in files
            if not file.startswith(".") and PurePosixPath(file).suffix.lower() in suffixes
        ]
    return sorted(found)


def by_file_name(paths: Iterable[str]) -> dict[str, str]:
    """Path by its last part; of several the first."""
    found: dict[str, str] = {}
    for path in paths:
        found.setdefault(PurePosixPath(path).name, path)
    return found


def find(source: Path, *patterns: str, around: Sequence[str] = ()) -> Path | None:
    """The first file that a pattern finds in ``source``, else, for those of ``around``, beside or above it."""
    places = [(source, pattern) for pattern in patterns]
    top = source.resolve()
    places += [(folder, pattern) for pattern in around for folder in (top, top.parent, top.parent.parent)]
    return next((path for folder, pattern in places for path in sorted(folder.glob(pattern))), None)


def require(source: Path, *patterns: str, around: Sequence[str] = (), why: str = "") -> Path:
    """``find``, or a UserError that says what is missing."""
    path = find(source, *patterns, around=around)
    if path is None:
        raise UserError(f"lacks {patterns[0]}", where=source, remedy=why or "get all tables of the data set")
    return path


def read_table(path: Path, *columns: str) -> pd.DataFrame:
    """All cells as text. Raises UserError where one of ``columns`` is missing."""
    frame = read_csv(path)
    require_columns(frame, path, columns)
    return frame


def require_columns(frame: pd.DataFrame, path: Path, columns: Iterable[str]) -> None:
    """Raises UserError, which names the file and the first column that it lacks."""
    if missing := [column for column in columns if column not in frame.columns]:
        found = ", ".join(map(str, frame.columns[:8]))
        raise UserError(f"lacks a column {missing[0]!r}", where=path, remedy=f"found: {found}")


def require_truths(frame: pd.DataFrame, path: Path, columns: Iterable[str]) -> None:
    """Raises UserError where a label's cell is neither 1, 0, -1 nor empty."""
    for column in columns:
        for cell in frame[column].unique():
            try:
                truth(cell, "unknown")
            except ValueError:
                raise UserError(
                    f"column {column!r} holds a cell that is neither 1, 0, -1 nor empty", where=path
                ) from None


def years(text: str, *, zero_is_unknown: bool = True) -> float | None:
    """An age as tables write it: ``58``, ``058Y``, ``58.0``; None where it is empty, 0 or beyond OLDEST_YEARS."""
    try:
        age = float(text.strip().upper().removesuffix("Y"))
    except ValueError:
        return None
    return age if (0 if zero_is_unknown else -1) < age <= OLDEST_YEARS else None


def train_or_val(patient: str) -> str:
    """Where a source has one set for training and validation: val for VALIDATION_SHARE of the patients, by a hash."""
    digest = hashlib.sha256(patient.encode()).digest()
    return "val" if int.from_bytes(digest[:8], "big") / 2**64 < VALIDATION_SHARE else "train"
