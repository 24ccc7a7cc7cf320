"""A PACS by DIMSE (PS3.4 C): C-FIND lists, C-GET or C-MOVE gives each film as it is stored.

``dimse://PACS@host:104`` with, behind a question mark, matching keys of the study level and
``aet`` (our AE title, RAYDINO), ``retrieve`` (get or move), and for move ``port`` (where the PACS sends
to, 11113) and ``bind`` (the address that it listens on, all). Neighbours: ``dimse_association``,
``dimse_retrieve``, ``pacs_query``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, Refused, SourceGone, SourceImage, refuse_table
from raydino.readers.dimse_association import Peer, associated, identifier, matches
from raydino.readers.dimse_retrieve import CGet, Instance, MoveReceiver
from raydino.readers.pacs_query import PacsQuery, is_uid, keep_answers_unquoted, parse_query
from raydino.readers.patience import patiently

_FIND = StudyRootQueryRetrieveInformationModelFind
_SETTINGS = ("aet", "retrieve", "port", "bind")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Address:
    """What a ``dimse://`` address says. ``port`` is ours, for C-MOVE; None for C-GET."""

    peer: Peer
    query: PacsQuery
    port: int | None
    bind: str = ""

    @property
    def shown(self) -> str:
        """For errors: without the query, which may name a patient."""
        return f"dimse://{self.peer.aet}@{self.peer.host}:{self.peer.port}"


class Dimse:
    """Implements ``Reader``. Films come in order of their UIDs: study, series, instance."""

    cohort = "dicom"

    def __init__(self, source: str, options: ReaderOptions) -> None:
        refuse_table("dimse", options)
        keep_answers_unquoted()
        self.labels: tuple[str, ...] = ()
        self.left_out: Mapping[str, str] = {}
        self.notes: Sequence[str] = ["DIMSE has no encryption here: films travel as they are"]
        self._address = parse_address(source)
        self._studies = sorted(self._asked(self._find_studies))
        if not self._studies:
            raise UserError(
                f"has no {self._address.query.described()}", where=self._address.shown, remedy="see docs/sources.md"
            )

    @classmethod
    def recognises(cls, source: str) -> bool:
        return source.startswith("dimse://")

    def total(self) -> int | None:
        return None

    def images(self) -> Iterator[SourceImage]:
        address = self._address
        if address.port is None:
            for study in self._studies:
                yield from self._images_of(
                    study, lambda instance: SourceImage(instance.name, opener=CGet(address.peer, instance))
                )
            return
        with MoveReceiver(address.peer, address.port, address.bind) as receiver:
            for study in self._studies:
                yield from self._images_of(study, partial(self._moved, receiver))

    def _images_of(self, study: str, image: Callable[[Instance], SourceImage]) -> Iterator[SourceImage]:
        try:
            instances = self._asked(partial(self._find_instances, study))
        except OSError as error:
            yield SourceImage(study, opener=Refused(f"its study cannot be listed: {error.strerror}"))
            return
        yield from map(image, instances)

    def _moved(self, receiver: MoveReceiver, instance: Instance) -> SourceImage:
        try:
            return SourceImage(instance.name, content=self._asked(partial(receiver.fetch, instance)))
        except OSError as error:
            return SourceImage(instance.name, opener=Refused(error.strerror))

    def _asked(self, attempt: Callable[[], Answer]) -> Answer:
        """Patiently. Raises UserError where the PACS serves nobody, OSError where it does not give this."""
        try:
            return patiently(attempt)
        except SourceGone as error:
            raise UserError(error.strerror, where=self._address.shown) from None

    def _find_studies(self) -> set[str]:
        found = set()
        for search in self._address.query.searches():
            keys = [("StudyInstanceUID", ""), *search]
            found |= {str(item.get("StudyInstanceUID")) for item in self._find("STUDY", keys)}
        return set(filter(is_uid, found))

    def _find_instances(self, study: str) -> list[Instance]:
        """Every object of a wanted modality, in order of the UIDs."""
        keys = [("StudyInstanceUID", study), ("SeriesInstanceUID", ""), ("Modality", "")]
        found = set()
        for item in self._find("SERIES", keys):
            series = str(item.get("SeriesInstanceUID"))
            if is_uid(series) and self._address.query.wants(str(item.get("Modality") or "")):
                found |= self._find_images(study, series)
        return sorted(found)

    def _find_images(self, study: str, series: str) -> set[Instance]:
        keys = [("StudyInstanceUID", study), ("SeriesInstanceUID", series), ("SOPInstanceUID", ""), ("SOPClassUID", "")]
        found = set()
        for item in self._find("IMAGE", keys):
            uid, sop_class = str(item.get("SOPInstanceUID")), str(item.get("SOPClassUID") or "")
            if is_uid(uid):
                found.add(Instance(study, series, uid, sop_class if is_uid(sop_class) else ""))
        return found

    def _find(self, level: str, keys: Sequence[tuple[str, str]]) -> list[Dataset]:
        with associated(self._address.peer, _FIND, contexts=[build_context(_FIND)]) as association:
            return list(matches(association.send_c_find(identifier(level, keys), _FIND)))


def parse_address(source: str) -> Address:
    """Raises UserError on an address that is none."""
    parts = urlsplit(source)
    shown = f"dimse://{parts.netloc}"
    try:
        host, port, aet = parts.hostname, parts.port or 104, unquote(parts.username or "")
    except ValueError:
        host, port, aet = None, 0, ""
    if not host or not aet or parts.path.strip("/"):
        raise UserError("is no address of a PACS", where=shown, remedy="as in dimse://PACS@pacs.example.org:104")
    query, given = parse_query(parts.query, shown, _SETTINGS)
    own_aet = given.get("aet", "RAYDINO")
    if bad := [name for name in (aet, own_aet) if not 0 < len(name) <= 16 or not name.isascii()]:
        raise UserError(f"{bad[0]!r} is no AE title", where=shown, remedy="1 to 16 characters, ASCII")
    retrieve, own_port = given.get("retrieve", "get"), given.get("port", "11113")
    if retrieve not in ("get", "move"):
        raise UserError(f"retrieve={retrieve} is not possible", where=shown, remedy="get or move")
    if not own_port.isdecimal() or not 0 < int(own_port) < 2**16:
        raise UserError(f"port={own_port} is not possible", where=shown, remedy="1 to 65535")
    own = int(own_port) if retrieve == "move" else None
    return Address(Peer(aet, host, port, own_aet), query, own, given.get("bind", ""))
