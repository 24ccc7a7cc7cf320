"""Where masks beside a source come from: a folder of files, or a table of run lengths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from raydino.readers.base import MaskMaker
from raydino.readers.chexmask import CheXmask
from raydino.readers.mask_folder import MaskFolder


class MaskSource(Protocol):
    """Picklable: each worker has one."""

    def of(self, sop_instance_uid: str, name: str) -> Mapping[str, Path | MaskMaker]:
        """The masks of a film by structure."""

    def files(self) -> list[Path]:
        """The files that hold the masks."""

    def count(self) -> int:
        """How many masks there are."""


def open_masks(path: Path) -> MaskSource:
    """A folder as ``mask_folder`` has it, or a table of CheXmask. Raises UserError."""
    return CheXmask.open(path) if path.is_file() else MaskFolder.open(path)
