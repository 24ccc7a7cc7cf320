"""Run all images of a source through the workers; what is found goes into the ``workplace``.

Images that an earlier run has read are left out, unless they changed. Results come in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

from raydino.dicom.assemble import Sidecars, entry_of
from raydino.dicom.film import SOURCE_GONE, Reading, Work, read_film
from raydino.dicom.journal import Listed, stamp_of
from raydino.dicom.workplace import Workplace
from raydino.errors import UserError
from raydino.processes import WorkerFailed
from raydino.readers.base import Reader, SourceImage
from raydino.tracking import progress_bar

_AGAIN = "the same command again goes on where it was"


class Execute(Protocol):
    """Where readings are done: yields each job with its outcome, in any order (``pool``, ``cluster``)."""

    def __call__(
        self, function: Callable[[Listed], Reading], jobs: Iterable[Listed], /
    ) -> Iterator[tuple[Listed, Reading | WorkerFailed]]: ...


def collect(reader: Reader, source: object, work: Work, sidecars: Sidecars, place: Workplace, execute: Execute) -> None:
    """Read every image of ``reader`` that ``place`` doesn't know. Raises UserError where the source fails."""
    place.journal.begin_listing()
    with progress_bar() as bar:
        task = bar.add_task("ingest", total=reader.total(), note="")

        def unread() -> Iterator[Listed]:
            for image in _images(reader, source):
                if listed := place.journal.enlist(image):
                    yield listed
                else:
                    bar.advance(task)

        for listed, outcome in execute(partial(read_listed, work), unread()):
            if isinstance(outcome, Reading) and outcome.reason == SOURCE_GONE:
                raise UserError(f"the source stopped serving: {outcome.detail}", where=source, remedy=_AGAIN)
            _record(listed, outcome, sidecars, place)
            place.checkpoint()
            bar.advance(task)
    place.journal.end_listing()
    place.checkpoint(at_once=True)


def read_listed(work: Work, listed: Listed) -> Reading:
    """What a worker does."""
    return read_film(work, listed.image)


def _images(reader: Reader, source: object) -> Iterator[SourceImage]:
    """The images of ``reader``; its own failures become one line."""
    images = iter(reader.images())
    while True:
        try:
            image = next(images)
        except StopIteration:
            return
        except OSError as error:
            raise UserError(
                f"the source failed ({error.strerror or type(error).__name__})",
                where=source,
                remedy=_AGAIN,
            ) from None
        yield image


def _record(listed: Listed, outcome: Reading | WorkerFailed, sidecars: Sidecars, place: Workplace) -> None:
    reading = Reading(reason="unreadable", detail=str(outcome)) if isinstance(outcome, WorkerFailed) else outcome
    if reading.film and stamp_of(listed.image) != listed.stamp:
        reading = Reading(reading.header, reason="unreadable", detail="the file changed while it was read")
    film, spool = reading.film, place.spool
    masks = {structure: spool.put(mask) for structure, mask in film.masks.items()} if film else {}
    picture = film.png if film else reading.preview
    png = spool.put(picture) if picture else None
    place.journal.record(listed.id, entry_of(listed.image, reading, sidecars), png, masks, spool.end)
