"""Masks beside a source: ``DIR/<structure>/<SOP Instance UID>.png``, or the image's name for image files.

Masks are grayscale files at the source image's size, background 0. No file means unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from raydino.errors import UserError


@dataclass(frozen=True)
class MaskFolder:
    """A folder of masks and the structures in it, in alphabetical order."""

    path: Path
    structures: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> MaskFolder:
        """Raises UserError when ``path`` holds no folder of PNG files."""
        if not path.is_dir():
            raise UserError("no such directory", where=path, remedy="--masks wants DIR/<structure>/<uid>.png")
        found = sorted(p.name for p in path.iterdir() if p.is_dir() and any(p.glob("**/*.png")))
        if not found:
            raise UserError("holds no masks", where=path, remedy="wanted: DIR/<structure>/<SOP Instance UID>.png")
        if bad := [name for name in found if not re.fullmatch(r"[\w][\w .-]*", name)]:
            raise UserError(f"no name for a structure: {bad[0]!r}", where=path)
        return cls(path, tuple(found))

    def of(self, sop_instance_uid: str, name: str) -> dict[str, Path]:
        """The masks of a film by structure."""
        # A UID is digits and dots, so a made-up one cannot lead out of the folder.
        is_uid = re.fullmatch(r"[0-9.]+", sop_instance_uid)
        file = f"{sop_instance_uid}.png" if is_uid else str(PurePosixPath(name).with_suffix(".png"))
        paths = {structure: self.path / structure / file for structure in self.structures}
        return {structure: path for structure, path in paths.items() if path.is_file()}

    def files(self) -> list[Path]:
        """All mask files, in order."""
        return sorted(path for structure in self.structures for path in (self.path / structure).glob("**/*.png"))

    def count(self) -> int:
        """How many mask files there are."""
        return len(self.files())
