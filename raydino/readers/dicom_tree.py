"""A tree of files, any names and any depth, that are (mostly) DICOM; zips and tars in it are opened.

Every file becomes one row of the dataset, so what isn't DICOM or cannot be read is a row too, with its
reason. Left out, and counted in ``notes``: hidden files, DICOMDIR indexes (PS3.10) and links to
folders, so that a loop of links ends nothing. Neighbour: ``archive_file``.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from raydino.errors import UserError
from raydino.readers.archive_file import archive_images, is_archive
from raydino.readers.base import LocalFile, ReaderOptions, Refused, SourceImage, refuse_table, require_directory
from raydino.readers.file_names import is_index, portable

_HIDDEN = "hidden files or folders were left out"
_INDEX = "DICOMDIR indexes were left out; the films that they list are read as files"
_LINKS = "links to folders were not followed"


class DicomTree:
    """Implements ``Reader``. Files come in order of their path relative to ``source``."""

    def __init__(self, source: str, options: ReaderOptions) -> None:
        refuse_table("dicom", options)
        self.labels: tuple[str, ...] = ()
        self.left_out: Mapping[str, str] = {}
        self._source = require_directory(source)
        skipped: Counter[str] = Counter()
        self._found = sorted(_walk(self._source, skipped))
        self.notes: Sequence[str] = [f"{count} {what}" for what, count in sorted(skipped.items())]
        if not self._found:
            what = "nothing but " + "; ".join(self.notes) if self.notes else "the directory is empty"
            raise UserError(f"no DICOM file found: {what}", where=source)

    @classmethod
    def recognises(cls, source: str) -> bool:
        return os.path.isdir(source)

    def total(self) -> int | None:
        return None if any(is_archive(name) for name, _ in self._found) else len(self._found)

    def images(self) -> Iterator[SourceImage]:
        for name, why in self._found:
            if why:
                yield SourceImage(portable(name), opener=Refused(why))
            elif is_archive(name):
                yield from archive_images(LocalFile(self._source / name), name)
            else:
                yield SourceImage(portable(name), path=self._source / name)


def _walk(source: Path, skipped: Counter[str]) -> Iterator[tuple[str, str]]:
    """Each file's relative name, and why it is not opened (``""`` where it is)."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(source / folder) as found:
                entries = list(found)
        except OSError as error:
            yield folder or ".", f"the folder cannot be listed: {error.strerror}"
            continue
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                skipped[_HIDDEN] += 1
            elif entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif is_index(name):
                skipped[_INDEX] += 1
            elif entry.is_symlink() and os.path.isdir(entry.path):
                skipped[_LINKS] += 1
            else:
                yield name, "" if _may_be_opened(entry) else "neither a file nor a folder"


def _may_be_opened(entry: os.DirEntry[str]) -> bool:
    """False for a pipe or a device, which could block for ever. A dead link says what is wrong when opened."""
    if entry.is_file(follow_symlinks=False):
        return True
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True
