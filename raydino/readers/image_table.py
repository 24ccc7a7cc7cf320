"""Image files (PNG, JPEG, TIFF) listed by a CSV with the columns ``file`` and ``patient_id``.

Further columns as in ``film_table``: study_id, age_years, sex, population, site, view, split,
spacing_mm, and labels. ``file`` is relative to the source; a row whose file is missing stays, as
an unreadable one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, SourceImage, require_directory
from raydino.readers.film_table import FilmTable

TABLE_NAME = "images.csv"


class ImageTable:
    """Implements ``Reader``. Images come in order of their file names."""

    def __init__(self, source: str, options: ReaderOptions) -> None:
        self._source = require_directory(source)
        self.notes: Sequence[str] = ()
        path = options.table or self._source / TABLE_NAME
        films = FilmTable(path, keys=("file",))
        self.labels = films.labels
        self.left_out = films.left_out
        self._rows = films.rows
        if not films.rows:
            raise UserError("lists no image", where=path)
        for name, row in films.rows.items():
            outside = PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts
            if not name or outside:
                raise UserError(f"line {row.line}: file must be a path below the source", where=path)
            if not row.known.patient_id:
                raise UserError(
                    f"line {row.line}: patient_id is empty",
                    where=path,
                    remedy="films are split by patient, so each row needs one",
                )

    @classmethod
    def recognises(cls, source: str) -> bool:
        return os.path.isfile(os.path.join(source, TABLE_NAME))

    def total(self) -> int | None:
        return len(self._rows)

    def images(self) -> Iterator[SourceImage]:
        for name, row in sorted(self._rows.items()):
            yield SourceImage(name, path=self._source / name, is_dicom=False, known=row.known, labels=row.labels)
