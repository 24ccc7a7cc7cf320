"""Where a PACS is and what one of its objects is called: the words that the ``dimse`` files share."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from raydino.errors import UserError
from raydino.readers.pacs_query import PacsQuery, parse_query

_SETTINGS = ("aet", "retrieve", "port", "bind")


@dataclass(frozen=True)
class Peer:
    """The PACS, and the name under which we call it."""

    aet: str
    host: str
    port: int
    own_aet: str


@dataclass(frozen=True, order=True)
class Instance:
    """One object of a PACS. ``sop_class`` is empty where the PACS does not say it."""

    study: str
    series: str
    uid: str
    sop_class: str = ""

    @property
    def name(self) -> str:
        """As ``dicomweb`` names it."""
        return f"{self.study}/{self.series}/{self.uid}"

    def keys(self) -> list[tuple[str, str]]:
        """The unique keys of the image level."""
        return [("StudyInstanceUID", self.study), ("SeriesInstanceUID", self.series), ("SOPInstanceUID", self.uid)]


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
