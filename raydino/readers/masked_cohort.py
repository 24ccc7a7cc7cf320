"""A ``Cohort`` whose films have masks: the readers of SIIM-ACR, CANDID-PTX, JSRT, VinDr-RibCXR and their kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from raydino.readers.base import MaskMaker, SourceImage
from raydino.readers.cohort import Cohort, Row, read_table

NONE = "-1"  # for no outline, where a table holds run lengths


class MaskedCohort(Cohort):
    """Implements ``Reader`` as ``Cohort`` does."""

    @abstractmethod
    def _masks(self, row: Row) -> Mapping[str, Path | MaskMaker]:
        """The masks of a film by structure."""

    def _labels(self, row: Row) -> dict[str, float | None]:
        return {}

    def _image(self, row: Row) -> SourceImage:
        return replace(super()._image(row), masks=self._masks(row))

    def _check(self, what: str, here: int, published: int) -> None:
        """A note where a count is not the published one."""
        if here != published:
            self._notes.append(f"{published:,} {what} are published, {here:,} are here")


def read_outlines(path: Path, key: str, runs: str) -> dict[str, tuple[str, ...]]:
    """The encodings of every film of a table with a row an outline; none for a film whose rows say -1.

    A row with an empty cell says nothing. Raises UserError.
    """
    frame = read_table(path, key, runs)
    outlines: dict[str, tuple[str, ...]] = {}
    for name, text in zip(frame[key], frame[runs], strict=True):
        if text:
            outlines[name] = outlines.get(name, ()) + ((text,) if text != NONE else ())
    return outlines
