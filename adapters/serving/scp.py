"""A DICOM Storage SCP (PS3.4 B): films come in by C-STORE, from a modality or from a PACS that forwards them.

What arrives is kept as it was sent: the data set is neither decoded nor changed in this process, and the header of the
file around it depends on the data set alone, so the same film is the same file whoever sends it. pynetdicom bounds
neither a PDU nor a message, and waits for ever for the rest of one; ``_Meters`` do.

Neighbours: ``intake``, which has the film on the disk before the sender is told so; ``raydino.readers.dimse_retrieve``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    Verification,
)

from adapters.serving.intake import Full
from raydino.errors import UserError
from raydino.readers.dimse_association import TRANSFER_SYNTAXES, entity, quote_no_answers
from raydino.readers.pacs_query import is_uid

FILM_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,  # digitised films and some older systems
)
STORED, OUT_OF_RESOURCES, CANNOT_UNDERSTAND, PROCESSING_FAILURE = 0x0000, 0xA700, 0xC000, 0x0110  # PS3.4 B.2.3
LARGEST_BYTES = 128 * 2**20  # of one object; the largest films have some 100 MB
ASSOCIATIONS = 4  # at a time: what is in memory is at most as many objects
_PDU_BYTES, _PDU_SECONDS = 2**20, 30.0  # we ask for 128 KiB; an association request may be larger
_IMPLEMENTATION = UID("2.25.23736391127510362426127458290074308185")  # of who wrote the file header: raydino
_LOG = logging.getLogger("raydino.serve")


class StorageScp:
    """Listens while it is started. ``receive`` takes a DICOM file's content; it raises Full, or UserError.

    ``callers``: the AE titles that may call, everybody where it is empty. ``port`` 0 takes a free one; the attribute
    ``port`` is then the one taken.
    """

    def __init__(
        self,
        receive: Callable[[bytes], object],
        *,
        aet: str = "RAYDINO",
        host: str = "127.0.0.1",
        port: int = 11112,
        callers: Collection[str] = (),
        largest_bytes: int = LARGEST_BYTES,
        associations: int = ASSOCIATIONS,
    ) -> None:
        """Raises UserError where a title is none."""
        for title in (aet, *callers):
            if not 0 < len(title.strip()) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
                raise UserError(f"{title!r} is no AE title", remedy="1 to 16 characters, ASCII, no backslash")
        self.aet, self.host, self.port = aet, host, port
        self._receive = receive
        self._meters = _Meters(largest_bytes)
        self._server: Any = None
        quote_no_answers()
        self._ae = entity(aet)
        self._ae.maximum_associations = associations
        self._ae.require_called_aet = True
        self._ae.require_calling_aet = list(callers)
        self._ae.add_supported_context(Verification)
        for name in FILM_CLASSES:
            self._ae.add_supported_context(name, list(TRANSFER_SYNTAXES))

    def start(self) -> None:
        """Raises UserError where the port cannot be had."""
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._meters.open),
            (evt.EVT_PDU_RECV, self._meters.count),
            (evt.EVT_CONN_CLOSE, self._meters.close),
            (evt.EVT_C_STORE, self._store),
        ]
        try:
            self._server = self._ae.start_server((self.host, self.port), block=False, evt_handlers=handlers)
        except OSError as error:
            where = f"{self.host}:{self.port}"
            why = f"cannot listen for C-STORE ({error.strerror})"
            raise UserError(why, where=where, remedy="choose another port") from None
        self.port = self._server.server_address[1]

    def stop(self) -> None:
        """Break off what is arriving; its sender was told nothing and keeps it."""
        if self._server is not None:
            self._server.shutdown()
            for association in self._ae.active_associations:
                association.abort()
            self._server = None

    def _store(self, event: evt.Event) -> int:
        """The handler of C-STORE; its result is the status."""
        request: Any = event.request
        data = request.DataSet.getvalue() if request.DataSet else b""
        try:
            sop_class, instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
            if not data or not is_uid(instance) or sop_class != event.context.abstract_syntax:
                return CANNOT_UNDERSTAND
            self._receive(part10(sop_class, instance, str(event.context.transfer_syntax), data))
        except Full:
            return OUT_OF_RESOURCES
        except (UserError, ValueError):
            return CANNOT_UNDERSTAND
        except Exception as error:  # never quote it: it may hold the header
            _LOG.error("C-STORE: %s in the service", type(error).__name__)
            return PROCESSING_FAILURE
        finally:
            self._meters.take_off(event.assoc, len(data))
        return STORED


def part10(sop_class: str, instance: str, transfer_syntax: str, data: bytes) -> bytes:
    """The DICOM file (PS3.10 7.1) around an encoded data set; the same bytes for the same arguments."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = _IMPLEMENTATION
    meta.ImplementationVersionName = "RAYDINO"  # else pydicom writes its own, with its version
    file = DicomBytesIO()
    file.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(file, meta, enforce_standard=True)
    file.write(data)
    return file.getvalue()


class _Meters:
    """How many bytes each association has sent that nobody has taken off yet; ends one that sends too many."""

    def __init__(self, largest_bytes: int) -> None:
        self._largest_bytes = largest_bytes
        self._bytes: dict[int, int] = {}
        self._lock = threading.Lock()

    def open(self, event: evt.Event) -> None:
        connection: Any = event.assoc.dul.socket
        connection.recv = lambda count: _receive(connection, count)

    def count(self, event: evt.Event) -> None:
        """A PDU of the peer has come, in whole. Of commands nothing is kept, but they may not go on for ever."""
        items = getattr(event.pdu, "presentation_data_value_items", ())
        came = sum(len(item.presentation_data_value) - 1 for item in items if _is_data(item.presentation_data_value))
        with self._lock:
            total = self._bytes[id(event.assoc)] = self._bytes.get(id(event.assoc), 0) + came
        if total > self._largest_bytes:
            _LOG.warning("C-STORE: an object is larger than %d MiB; its sender is cut off", self._largest_bytes >> 20)
            self._cut(event)

    def take_off(self, association: object, count: int) -> None:
        with self._lock:
            if id(association) in self._bytes:
                self._bytes[id(association)] -= count

    def close(self, event: evt.Event) -> None:
        with self._lock:
            self._bytes.pop(id(event.assoc), None)

    def _cut(self, event: evt.Event) -> None:
        connection: Any = event.assoc.dul.socket
        if connection is not None:
            connection.close()


def _is_data(value: bytes) -> bool:
    """Whether a fragment is of a data set and not of a command (PS3.8 E.2)."""
    return len(value) > 0 and not value[0] & 1


def _receive(connection: Any, count: int) -> bytearray:
    """``count`` bytes from the peer, fewer where it ends. Raises OSError where that is too much, or takes too long."""
    if count > _PDU_BYTES or connection.socket is None:
        connection.close()
        raise ConnectionError("a PDU beyond all bounds")
    end = time.monotonic() + _PDU_SECONDS
    received = bytearray()
    while len(received) < count:
        connection.socket.settimeout(max(end - time.monotonic(), 0.001))
        some = connection.socket.recv(min(count - len(received), 2**16))
        if not some:
            break
        received += some
    connection.socket.settimeout(_PDU_SECONDS)
    return received
