"""A PACS by DIMSE (PS3.4 C): C-FIND lists, C-GET or C-MOVE gives each film as it is stored.

``dimse://PACS@host:104`` with, behind a question mark, matching keys of the study level and
``aet`` (our AE title, RAYDINO), ``retrieve`` (get or move), and for move ``port`` (where the PACS sends
to, 11113) and ``bind`` (the address that it is taken at, all). Neighbours: ``dimse_address``,
``dimse_find``, ``dimse_retrieve``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, Refused, SourceGone, SourceImage, refuse_table, require_extra
from raydino.readers.dimse_address import Instance, parse_address

Answer = TypeVar("Answer")


class Dimse:
    """Implements ``Reader``. Films come in order of their UIDs: study, series, instance."""

    cohort = "dicom"

    def __init__(self, source: str, options: ReaderOptions) -> None:
        refuse_table("dimse", options)
        require_extra("pacs", "pynetdicom")
        from raydino.readers.dimse_association import quote_no_answers
        from raydino.readers.dimse_find import find_studies

        quote_no_answers()
        self.labels: tuple[str, ...] = ()
        self.left_out: Mapping[str, str] = {}
        self.notes: Sequence[str] = ["DIMSE is not encrypted here (no TLS): films travel as they are"]
        self._address = parse_address(source)
        try:
            self._studies = self._asked(partial(find_studies, self._address))
        except OSError as error:
            raise UserError(str(error.strerror), where=self._address.shown) from None
        if not self._studies:
            what = f"has no {self._address.query.described()}"
            raise UserError(what, where=self._address.shown, remedy="see docs/sources.md")

    @classmethod
    def recognises(cls, source: str) -> bool:
        return source.startswith("dimse://")

    def total(self) -> int | None:
        return None

    def images(self) -> Iterator[SourceImage]:
        from raydino.readers.dimse_retrieve import CGet, MoveReceiver

        peer, port = self._address.peer, self._address.port
        if port is None:
            yield from self._images(lambda instance: SourceImage(instance.name, opener=CGet(peer, instance)))
            return
        with MoveReceiver(peer, port, self._address.bind) as receiver:
            yield from self._images(partial(self._moved, receiver.fetch))

    def _images(self, image_of: Callable[[Instance], SourceImage]) -> Iterator[SourceImage]:
        from raydino.readers.dimse_find import find_instances

        for study in self._studies:
            try:
                instances = self._asked(partial(find_instances, self._address, study))
            except OSError as error:
                yield SourceImage(study, opener=Refused(f"its study cannot be listed: {error.strerror}"))
                continue
            yield from map(image_of, instances)

    def _moved(self, fetch: Callable[[Instance], bytes], instance: Instance) -> SourceImage:
        try:
            return SourceImage(instance.name, content=self._asked(partial(fetch, instance)))
        except OSError as error:
            return SourceImage(instance.name, opener=Refused(str(error.strerror)))

    def _asked(self, question: Callable[[], Answer]) -> Answer:
        """The answer. Raises UserError where the PACS serves nobody, OSError where it does not give this."""
        try:
            return question()
        except SourceGone as error:
            raise UserError(str(error.strerror), where=self._address.shown) from None
