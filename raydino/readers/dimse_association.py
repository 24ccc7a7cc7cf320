"""Associations with a PACS (PS3.8) by pynetdicom, and what goes wrong with them in words.

Each is short: one search or one film. So none grows stale while workers are busy, and one that breaks
is simply made again. No TLS: use a VPN, or DICOMweb over https. Neighbour: ``dimse``.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association

from raydino.readers.base import SourceGone
from raydino.readers.dimse_address import Peer
from raydino.readers.patience import Transient

# Every syntax that a film may be stored in, so that none is re-encoded on its way (PS3.6 A-1).
TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2",  # implicit VR little endian
    "1.2.840.10008.1.2.1",  # explicit VR little endian
    "1.2.840.10008.1.2.1.99",  # deflated
    "1.2.840.10008.1.2.2",  # explicit VR big endian
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K lossless RPCL
    "1.2.840.10008.1.2.4.203",  # HTJ2K
    "1.2.840.10008.1.2.5",  # RLE
)
_CONNECT_SECONDS, _ANSWER_SECONDS = 10.0, 50.0
_STORAGE = tuple(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
_PENDING = (0xFF00, 0xFF01)
_PERMANENT = 1  # result of an A-ASSOCIATE-RJ


class NotOffered(SourceGone):
    """The PACS serves, but not what was asked for."""


def quote_no_answers() -> None:
    """No messages of pydicom and pynetdicom about what a PACS answers: they quote values."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for name in ("pydicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def entity(name: str) -> AE:
    """An application entity of ours with time limits."""
    ae = AE(name)
    ae.connection_timeout = ae.acse_timeout = _CONNECT_SECONDS
    ae.dimse_timeout = ae.network_timeout = _ANSWER_SECONDS
    ae.maximum_pdu_size = 2**17
    return ae


@contextmanager
def associated(peer: Peer, needed: str, handlers: Sequence[Any] = (), **proposal: Any) -> Iterator[Association]:
    """An association in which the PACS accepts the SOP class ``needed``. Raises Transient, NotOffered or SourceGone."""
    ae = entity(peer.own_aet)
    association = ae.associate(
        peer.host,
        peer.port,
        ae_title=peer.aet,
        max_pdu=ae.maximum_pdu_size,
        evt_handlers=[(evt.EVT_CONN_OPEN, _send_at_once), *handlers],
        **proposal,
    )
    try:
        if association.is_rejected:
            raise _rejection(association, peer)
        answered = association.is_established or association.rejected_contexts
        if answered and not any(context.abstract_syntax == needed for context in association.accepted_contexts):
            raise NotOffered(_not_offered(needed))
        if not association.is_established:
            raise Transient(SourceGone("the PACS cannot be reached, or breaks off"))
        yield association
    finally:
        if association.is_established:
            association.release()


def _send_at_once(event: evt.Event) -> None:
    """Commands and their data are small writes one after the other: Nagle's algorithm halves the speed."""
    connection: Any = event.assoc.dul.socket
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _rejection(association: Association, peer: Peer) -> Exception:
    answer = association.acceptor.primitive
    gone = SourceGone(
        f"the PACS rejects the association; it must know the calling AE title {peer.own_aet} "
        f"(another: ?aet=NAME) and be called {peer.aet}"
    )
    return gone if getattr(answer, "result", None) == _PERMANENT else Transient(SourceGone("the PACS is busy"))


def _not_offered(sop_class: str) -> str:
    if sop_class in _STORAGE:
        return f"the PACS does not take objects of the class {UID(sop_class).name}"
    if sop_class.endswith(".3"):
        return "the PACS does not offer C-GET; register us there and add ?retrieve=move&port=11113"
    return f"the PACS does not offer {'C-MOVE' if sop_class.endswith('.2') else 'C-FIND'} of studies"


def matches(responses: Iterator[tuple[Dataset, Dataset | None]]) -> Iterator[Dataset]:
    """The identifiers of a C-FIND. Raises Transient where the answer breaks off, OSError where it fails."""
    for status, identifier in responses:
        if "Status" not in status:
            raise Transient(SourceGone("the PACS breaks off, or does not answer"))
        if status.Status in _PENDING:
            if identifier is not None:
                yield identifier
        elif status.Status == 0xA700:
            raise OSError(errno.EIO, "the PACS finds too much (status A700); narrow the search with ?StudyDate=")
        elif status.Status != 0:
            raise OSError(errno.EIO, f"the PACS cannot search (status {status.Status:04X})")


def final_status(responses: Iterator[tuple[Dataset, Dataset | None]]) -> int:
    """The last status of a C-GET or C-MOVE. Raises Transient where the answer breaks off."""
    last: int | None = None
    for status, _ in responses:
        last = status.get("Status")
    if last is None:
        raise Transient(SourceGone("the PACS breaks off, or does not answer"))
    return last


def identifier(level: str, keys: Sequence[tuple[str, str]]) -> Dataset:
    """A query (PS3.4 C.4); an empty value asks for the attribute."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys:
        setattr(dataset, keyword, value)
    return dataset
