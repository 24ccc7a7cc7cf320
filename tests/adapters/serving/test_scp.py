"""Films by C-STORE into the storage SCP: as they were sent, refused in words a sender understands, and bounded."""

from __future__ import annotations

import io
import logging
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless
from pynetdicom import AE, build_context
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from adapters.serving import scp
from adapters.serving.intake import Full
from adapters.serving.scp import FILM_CLASSES, StorageScp
from raydino.errors import UserError

Serve = Callable[..., StorageScp]
Make = Callable[..., Dataset]


class Films(list[bytes]):
    """Takes films, or raises ``fault``."""

    fault: Exception | None = None

    def receive(self, content: bytes) -> None:
        if self.fault:
            raise self.fault
        self.append(content)


@pytest.fixture
def taken() -> Films:
    return Films()


@pytest.fixture
def serve(taken: Films) -> Iterator[Serve]:
    running = []

    def start(**options: Any) -> StorageScp:
        server = StorageScp(taken.receive, port=0, **options)
        server.start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()


def send(server: StorageScp, dataset: Dataset, caller: str = "MODALITY", called: str = "RAYDINO") -> int | None:
    """The status; None where the association is refused or ends without one."""
    contexts = [build_context(str(dataset.SOPClassUID), [str(dataset.file_meta.TransferSyntaxUID)])]
    ae = AE(caller)
    ae.dimse_timeout = 10
    association = ae.associate("127.0.0.1", server.port, contexts=contexts, ae_title=called)
    if not association.is_established:
        return None
    try:
        return association.send_c_store(dataset).get("Status")
    finally:
        association.release()


def test_a_film_arrives_as_it_was_sent_whoever_sends_it(serve: Serve, taken: Films, radiograph: Make) -> None:
    server = serve()
    film = radiograph()
    assert [send(server, film, caller) for caller in ("MODALITY", "OTHER")] == [0, 0]
    first, second = taken
    assert first == second
    kept = pydicom.dcmread(io.BytesIO(first))
    assert kept == film
    assert kept.file_meta.MediaStorageSOPInstanceUID == "2.25.1"
    assert "MODALITY" not in repr(kept.file_meta)


def test_no_syntax_is_re_encoded(serve: Serve, taken: Films, radiograph: Make) -> None:
    film = radiograph()
    film.compress(RLELossless, generate_instance_uid=False)
    assert send(serve(), film) == 0
    kept = pydicom.dcmread(io.BytesIO(taken[0]))
    assert kept.file_meta.TransferSyntaxUID == RLELossless
    assert kept.PixelData == film.PixelData


def test_every_kind_of_film_and_no_other(serve: Serve, taken: Films, radiograph: Make) -> None:
    server = serve()
    assert [send(server, radiograph(SOPClassUID=kind)) for kind in FILM_CLASSES] == [0] * 4
    assert send(server, radiograph(SOPClassUID=CTImageStorage)) is None
    assert len(taken) == 4


def test_dcmtk_sends_and_pings(serve: Serve, taken: Films, radiograph: Make, tmp_path: Path) -> None:
    server = serve()
    radiograph().save_as(tmp_path / "film.dcm", enforce_file_format=True)
    for program, arguments in (("echoscu", []), ("storescu", [str(tmp_path / "film.dcm")])):
        try:
            command = [program, "-aec", "RAYDINO", "127.0.0.1", str(server.port), *arguments]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        except FileNotFoundError:
            pytest.skip("dcmtk is not installed: apt-get install dcmtk")
    assert pydicom.dcmread(io.BytesIO(taken[0])).SOPInstanceUID == "2.25.1"


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Full(), 0xA700), (UserError("no film"), 0xC000), (ValueError(), 0xC000), (RuntimeError("Planted"), 0x0110)],
)
def test_what_the_sender_is_told(
    fault: Exception, status: int, serve: Serve, taken: Films, radiograph: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    taken.fault = fault
    with caplog.at_level(logging.DEBUG):
        assert send(server, radiograph()) == status
        taken.fault = None
        assert send(server, radiograph()) == 0
    assert "Planted" not in caplog.text
    assert "2.25." not in caplog.text


def test_an_instance_without_a_proper_uid_is_not_taken(serve: Serve, taken: Films, radiograph: Make) -> None:
    assert send(serve(), radiograph(SOPInstanceUID="1.2/../x")) in (0xC000, None)
    assert not taken


def test_who_may_call(serve: Serve, radiograph: Make) -> None:
    server = serve(callers=("MODALITY", "PACS"), aet="ROOM")
    assert send(server, radiograph(), "PACS", "ROOM") == 0
    assert send(server, radiograph(), "STRANGER", "ROOM") is None
    assert send(server, radiograph(), "PACS", "ANOTHER") is None
    assert server.host == "127.0.0.1"


def test_an_object_beyond_the_limit_is_cut_off(
    serve: Serve, taken: Films, radiograph: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(largest_bytes=2**20)
    film = radiograph(Rows=2048, Columns=1024)
    film.PixelData = bytes(2**21)
    assert send(server, film) is None
    assert "larger than 1 MiB" in caplog.text
    assert not taken
    for number in range(3):  # the count starts anew with each object
        film = radiograph(number + 1, Rows=600, Columns=1024)
        film.PixelData = bytes(600 * 1024)
        assert send(server, film) == 0
    assert len(taken) == 3


def is_closed(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return not connection.recv(1)
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_a_pdu_that_claims_gigabytes_or_never_ends_is_cut_off(
    serve: Serve, radiograph: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scp, "_PDU_SECONDS", 0.5)
    server = serve()
    for length in (2**32 - 1, 1000):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(struct.pack(">BBL", 1, 0, length) + b"x" * 10)
            assert is_closed(connection, 10)
    assert send(server, radiograph()) == 0


def test_no_more_associations_than_the_limit(serve: Serve, radiograph: Make) -> None:
    server = serve(associations=2)
    held = [
        AE("HOLDER").associate("127.0.0.1", server.port, contexts=[build_context(Verification)], ae_title="RAYDINO")
        for _ in range(2)
    ]
    assert all(one.is_established for one in held)
    assert send(server, radiograph()) is None
    for one in held:
        one.release()
    end = time.monotonic() + 10
    while send(server, radiograph()) != 0:
        assert time.monotonic() < end


def test_stop_frees_the_port_at_once(serve: Serve, taken: Films) -> None:
    server = serve()
    held = AE("HOLDER").associate("127.0.0.1", server.port, contexts=[build_context(Verification)], ae_title="RAYDINO")
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 5
    again = StorageScp(taken.receive, port=server.port)
    again.start()
    again.stop()
    held.abort()


def test_what_cannot_be(serve: Serve, taken: Films) -> None:
    for title in ("", "A" * 17, "Å", "A\\B"):
        with pytest.raises(UserError, match="is no AE title"):
            StorageScp(taken.receive, aet=title)
    server = serve()
    with pytest.raises(UserError, match="cannot listen for C-STORE"):
        StorageScp(taken.receive, port=server.port).start()
