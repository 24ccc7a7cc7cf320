"""A tree of files, any names and any depth, that are (mostly) DICOM.

Every file becomes one row of the dataset, so what isn't DICOM is a row too, with its reason.
Left out: DICOMDIR indexes (PS3.10) and hidden files. Links to directories are not followed, so a
loop of links ends nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, SourceImage, require_directory


class DicomTree:
    """Implements ``Reader``. Files come in order of their path relative to ``source``."""

    def __init__(self, source: str, options: ReaderOptions) -> None:
        if options.table is not None:
            raise UserError(
                "--images-csv is for image files, and the dicom reader was chosen",
                remedy="leave one of the two out; labels of DICOM files come with --labels",
            )
        self.labels: tuple[str, ...] = ()
        self.left_out: Mapping[str, str] = {}
        self.notes: Sequence[str] = ()
        self._source = require_directory(source)
        self._names = sorted(_file_names(self._source))
        if not self._names:
            raise UserError("no DICOM file found: the directory is empty", where=source)

    @classmethod
    def recognises(cls, source: str) -> bool:
        return Path(source).is_dir()

    def total(self) -> int | None:
        return len(self._names)

    def images(self) -> Iterator[SourceImage]:
        for name in self._names:
            yield SourceImage(name, path=self._source / name)


def _file_names(source: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            path = Path(folder, file)
            if not file.startswith(".") and file.upper() != "DICOMDIR" and path.is_file():
                yield path.relative_to(source).as_posix()
