"""Run all images of a source through the workers; encoded films wait in a spool file on disk.

Results come in any order. The spool keeps memory free of pixels until ``assemble`` has decided what
enters the dataset and in which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType

from raydino.dicom.film import SOURCE_GONE, Reading, Work, prepare_worker, read_film
from raydino.dicom.pool import WorkerFailed, process_map
from raydino.errors import UserError
from raydino.readers.base import Reader, SourceImage
from raydino.tracking import track

FILE_SECONDS = 120.0  # the slowest decoder takes some 10 s for the largest films


@dataclass(frozen=True)
class Span:
    """Bytes of the spool."""

    offset: int
    length: int


@dataclass(frozen=True)
class Collected:
    """An image and its reading; the film's and the masks' PNG bytes lie in the spool."""

    image: SourceImage
    reading: Reading
    png: Span | None = None
    masks: Mapping[str, Span] = field(default_factory=dict)


class Spool:
    """A temporary file of encoded films, written once and read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._end = 0

    def put(self, content: bytes) -> Span:
        """Append and say where."""
        self._file.seek(self._end)
        self._file.write(content)
        span = Span(self._end, len(content))
        self._end += len(content)
        return span

    def get(self, span: Span) -> bytes:
        """What was put."""
        self._file.seek(span.offset)
        return self._file.read(span.length)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink()


def collect(reader: Reader, work: Work, spool: Spool, workers: int) -> list[Collected]:
    """Every image of ``reader`` with its reading, in no particular order."""
    outcomes = process_map(
        partial(read_film, work),
        reader.images(),
        workers=max(1, min(workers, reader.total() or workers)),
        timeout_seconds=FILE_SECONDS,
        prepare=prepare_worker,
    )
    return [_spooled(*outcome, spool) for outcome in track(outcomes, "ingest", total=reader.total())]


def _spooled(image: SourceImage, outcome: Reading | WorkerFailed, spool: Spool) -> Collected:
    image = replace(image, content=None)
    if isinstance(outcome, WorkerFailed):
        return Collected(image, Reading(reason="unreadable", detail=str(outcome)))
    if outcome.reason == SOURCE_GONE:
        raise UserError(f"the source stopped serving: {outcome.detail}", remedy="run again when it serves")
    film = outcome.film
    if film is None:
        return Collected(image, outcome)
    masks = {structure: spool.put(png) for structure, png in film.masks.items()}
    without_pixels = replace(outcome, film=replace(film, png=b"", masks={}))
    return Collected(image, without_pixels, spool.put(film.png), masks)
