"""One film from a PACS by C-GET, or by C-MOVE to a storage SCP of ours (PS3.4 C.4.2 and C.4.3).

C-GET runs in the workers, each with an association of its own. C-MOVE's films arrive at one port of
the parent, and it asks for one at a time: what is in memory is one film, whatever the PACS holds.
Neighbour: ``dimse_association``.
"""

from __future__ import annotations

import errno
import io
import queue
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO

from pynetdicom import AllStoragePresentationContexts, build_context, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from raydino.errors import UserError
from raydino.readers.base import SourceGone
from raydino.readers.dimse_address import Instance, Peer
from raydino.readers.dimse_association import TRANSFER_SYNTAXES, associated, entity, final_status, identifier
from raydino.readers.patience import Transient, patiently

_GET, _MOVE = StudyRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelMove
_RADIOGRAPHS = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
)
_LATE_SECONDS = 10.0  # for a film that follows the word that it was sent
_UNKNOWN_DESTINATION = 0xA801
_TELLING_MISSES = 3  # films that do not come before any has come: it is no fault of theirs
_NOT_ASKED_FOR = 0xC000  # cannot understand
_SECONDS_FOR_A_FAILURE = 3.0  # of one film: a busy PACS fails once, and a broken film must not cost much


class _Inbox:
    """Takes one film, the one that was asked for, as the bytes of a DICOM file."""

    def __init__(self) -> None:
        self._wanted = ""
        self._films: queue.Queue[bytes] = queue.Queue()

    def expect(self, uid: str) -> None:
        self._wanted = uid
        self._films = queue.Queue()

    def store(self, event: evt.Event) -> int:
        """The handler of C-STORE; its result is the status."""
        if getattr(event.request, "AffectedSOPInstanceUID", None) != self._wanted:
            return _NOT_ASKED_FOR
        self._films.put(event.encoded_dataset())
        return 0

    def take(self, seconds: float) -> bytes | None:
        """None where nothing comes."""
        try:
            return self._films.get(timeout=seconds) if seconds else self._films.get_nowait()
        except queue.Empty:
            return None


class _NotSent(OSError):
    def __init__(self, status: int) -> None:
        super().__init__(errno.EIO, f"the PACS does not send it (status {status:04X})")
        self.status = status


def _sent(content: bytes | None, status: int) -> bytes:
    """``content``, if it came. Raises Transient, or NotSent where another attempt would be in vain."""
    if content is not None:
        return content
    if status == _UNKNOWN_DESTINATION:
        raise _NotSent(status)
    raise Transient(_NotSent(status), patience_seconds=_SECONDS_FOR_A_FAILURE)


@dataclass(frozen=True)
class CGet:
    """Retrieves one object; each call makes an association."""

    peer: Peer
    instance: Instance

    def __call__(self) -> BinaryIO:
        return io.BytesIO(patiently(self._attempt))

    def _attempt(self) -> bytes:
        classes = (self.instance.sop_class,) if self.instance.sop_class else _RADIOGRAPHS
        inbox = _Inbox()
        inbox.expect(self.instance.uid)
        # A context for each pair: in a context of many syntaxes the PACS would choose one for all films.
        contexts = [build_context(name, [syntax]) for name in classes for syntax in TRANSFER_SYNTAXES]
        with associated(
            self.peer,
            _GET,
            contexts=[build_context(_GET), *contexts],
            ext_neg=[build_role(name, scp_role=True) for name in classes],
            handlers=[(evt.EVT_C_STORE, inbox.store)],
        ) as association:
            status = final_status(association.send_c_get(identifier("IMAGE", self.instance.keys()), _GET))
        return _sent(inbox.take(0), status)


class MoveReceiver:
    """A storage SCP that listens while it is entered. Raises UserError where the port is taken."""

    def __init__(self, peer: Peer, port: int, bind: str = "") -> None:
        self._peer = peer
        self._port = port
        self._inbox = _Inbox()
        self._missed: int | None = 0  # None once a film has come
        ae = entity(peer.own_aet)
        ae.require_called_aet = True
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(str(context.abstract_syntax), TRANSFER_SYNTAXES)
        try:
            self._server: Any = ae.start_server(
                (bind, port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._inbox.store)]
            )
        except OSError as error:
            raise UserError(
                f"cannot listen on port {port} ({error.strerror})", remedy="choose another ?port="
            ) from None

    def __enter__(self) -> MoveReceiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()

    def fetch(self, instance: Instance) -> bytes:
        """The object's DICOM file. Raises SourceGone or OSError, as an opener does."""
        try:
            content = patiently(partial(self._attempt, instance))
        except _NotSent as error:
            if self._missed is not None:
                self._missed += 1
            if error.status == _UNKNOWN_DESTINATION or self._missed == _TELLING_MISSES:
                raise SourceGone(
                    f"the PACS sends nothing (status {error.status:04X}); register AE title {self._peer.own_aet}, "
                    f"this machine's address and port {self._port} there"
                ) from None
            raise
        self._missed = None
        return content

    def _attempt(self, instance: Instance) -> bytes:
        self._inbox.expect(instance.uid)
        with associated(self._peer, _MOVE, contexts=[build_context(_MOVE)]) as association:
            query = identifier("IMAGE", instance.keys())
            status = final_status(association.send_c_move(query, self._peer.own_aet, _MOVE))
        return _sent(self._inbox.take(_LATE_SECONDS if status == 0 else 0), status)
