"""A CSV of report texts, a row a film (``sop_instance_uid`` or ``file``) or a row a study."""

from __future__ import annotations

from pathlib import Path

from raydino.errors import UserError
from raydino.readers.film_table import read_csv

_KEYS = ("sop_instance_uid", "file", "study_instance_uid")


class ReportTable:
    """Texts by film and by study; a film's own text goes before its study's."""

    def __init__(self, path: Path) -> None:
        frame = read_csv(path)
        keys = [key for key in _KEYS if key in frame.columns]
        if "text" not in frame.columns or not keys:
            needed = f"needed: text and one of {', '.join(_KEYS)}"
            raise UserError("lacks a column", where=path, remedy=needed)
        self._texts: dict[tuple[str, str], tuple[int, str]] = {}
        for line, cells in enumerate(frame.to_dict("records"), start=2):
            key = next(((k, cells[k]) for k in keys if cells[k]), None)
            if key is not None and cells["text"]:
                self._texts.setdefault(key, (line, cells["text"]))
        self.lines = frozenset(line for line, _ in self._texts.values())

    def find(self, sop_instance_uid: str, name: str, study_instance_uid: str) -> tuple[int, str] | None:
        """The line and text for a film."""
        values = (sop_instance_uid, name, study_instance_uid)
        return next((self._texts[k] for k in zip(_KEYS, values, strict=True) if k in self._texts), None)
