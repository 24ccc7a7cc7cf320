"""MIMIC-CXR's free-text reports: ``files/p10/p10000032/s50414267.txt``, unpacked or in mimic-cxr-reports.zip."""

from __future__ import annotations

import zipfile
from functools import cached_property
from pathlib import Path

from raydino.errors import UserError
from raydino.readers.report_sections import findings_and_impression

ZIP_NAME = "mimic-cxr-reports.zip"


class MimicReports:
    """Looked for in ``source`` and in folders mimic-cxr*/ and mimic-cxr*/*/ beside it or one level above."""

    def __init__(self, source: Path) -> None:
        places = [source, *_folders_around(source)]
        roots = (root for place in places for root in (place, place / "mimic-cxr-reports"))
        self._roots = [root for root in roots if (root / "files").is_dir()]
        self._zip_path = next((path for place in places if (path := place / ZIP_NAME).is_file()), None)
        self._last: tuple[str, str | None] = ("", None)  # films of one study follow each other

    def of(self, study_folder: str) -> str | None:
        """Findings and impression of the study whose films lie in ``study_folder``; None where there is no report."""
        if self._last[0] != study_folder:
            text = self._text(f"{study_folder}.txt")
            self._last = study_folder, findings_and_impression(text) if text else None
        return self._last[1]

    def _text(self, name: str) -> str | None:
        for folder in self._roots:
            try:
                return (folder / name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
        if self._zip is None:
            return None
        try:
            return self._zip.read(name).decode("utf-8", errors="replace")
        except KeyError:
            return None
        except (OSError, zipfile.BadZipFile):
            raise UserError("holds a broken report", where=self._zip_path) from None

    @cached_property
    def _zip(self) -> zipfile.ZipFile | None:
        if self._zip_path is None:
            return None
        try:
            return zipfile.ZipFile(self._zip_path)
        except (OSError, zipfile.BadZipFile):
            raise UserError("is not a zip file that can be read", where=self._zip_path) from None


def _folders_around(source: Path) -> list[Path]:
    top = source.resolve()
    found = (
        path
        for folder in (top.parent, top.parent.parent)
        for pattern in ("mimic-cxr*", "mimic-cxr*/*")
        for path in sorted(folder.glob(pattern))
    )
    return [path for path in found if path.is_dir() and path != top]
