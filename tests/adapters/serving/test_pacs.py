"""Results into a real Orthanc by STOW and by C-STORE, and what a PACS may answer instead of taking them."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import ComputedRadiographyImageStorage  # type: ignore[attr-defined]

from adapters.serving.pacs import Refusal, open_pacs
from raydino.errors import UserError
from raydino.readers.base import SourceGone

Make = Callable[..., Dataset]


@pytest.fixture(scope="module")
def orthanc(start_orthanc: Callable[..., Any]) -> Any:
    return start_orthanc()


@pytest.fixture
def results(tmp_path: Path, radiograph: Make) -> list[Path]:
    """A film's file and one of another class, as a job's results are."""
    other = radiograph(2, SOPClassUID=EncapsulatedPDFStorage, Modality="DOC", SeriesInstanceUID="2.25.902")
    for name, dataset in (("a.dcm", radiograph(1)), ("b.dcm", other)):
        dataset.save_as(tmp_path / name, enforce_file_format=True)
    return [tmp_path / "a.dcm", tmp_path / "b.dcm"]


@pytest.mark.parametrize("way", ["web", "dimse"])
def test_what_is_stored_is_found_again_and_the_second_time_changes_nothing(
    way: str, orthanc: Any, results: list[Path], radiograph: Make
) -> None:
    pacs = open_pacs(orthanc.web if way == "web" else orthanc.dimse())
    for _ in range(2):
        pacs.store(results)
        assert len(orthanc.ask("/instances")) == 2
    assert pacs.studies(date(2019, 5, 27)) == {"2.25.900": 2 if way == "web" else None}
    assert not pacs.studies(date(2019, 5, 28))
    (film,) = pacs.films("2.25.900")  # the document is no film
    assert (film.uid, film.series) == ("2.25.1", "2.25.901")
    assert pydicom.dcmread(io.BytesIO(pacs.fetch(film))) == radiograph(1)


@pytest.fixture
def stow() -> Iterator[Callable[[int, object], str]]:
    """``answer(status, body)``: the address of a server that answers every POST so."""
    servers = []

    def serve(status: int, body: object) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/dicom+json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/dicom-web"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def failed(*reasons: int) -> dict[str, Any]:
    """A Store Instances Response with those failures."""
    return {"00081198": {"Value": [{"00081197": {"Value": [reason]}} for reason in reasons]}}


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {}, None),
        (202, failed(0x0111), None),
        (409, failed(0x0111, 0x0111), None),
        (200, failed(0x0122), Refusal),
        (202, failed(0x0111, 0xC000), Refusal),
        (409, failed(0xA900), Refusal),
        (409, "no words", Refusal),
        (202, "no words", OSError),
        (409, failed(0xA700), SourceGone),
        (401, {}, SourceGone),
        (404, {}, SourceGone),
        (405, {}, SourceGone),
        (503, {}, SourceGone),
        (400, {}, Refusal),
        (413, {}, Refusal),
        (500, {}, OSError),
    ],
)
def test_answers_of_stow(
    status: int, body: object, outcome: type[Exception] | None, stow: Callable[..., str], results: list[Path]
) -> None:
    pacs = open_pacs(stow(status, body))
    if outcome is None:
        pacs.store(results)
        return
    with pytest.raises(outcome) as told:
        pacs.store(results)
    assert type(told.value) is outcome
    assert "2.25." not in str(told.value)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0111, None),
        (0xB007, None),
        (0xA700, SourceGone),
        (0x0124, SourceGone),
        (0x0110, OSError),
        (0xA900, Refusal),
        (0xC123, Refusal),
    ],
)
def test_answers_of_c_store(status: int, outcome: type[Exception] | None, results: list[Path]) -> None:
    ae = AE("PACS")
    ae.add_supported_context(ComputedRadiographyImageStorage)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda event: status)])
    pacs = open_pacs(f"dimse://PACS@127.0.0.1:{server.server_address[1]}")
    try:
        if outcome is None:
            pacs.store(results[:1])
            with pytest.raises(Refusal, match="does not take objects of the class Encapsulated PDF Storage"):
                pacs.store(results)
            return
        with pytest.raises(outcome) as told:
            pacs.store(results[:1])
        assert type(told.value) is outcome
    finally:
        server.shutdown()


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/dicom-web", "dimse://PACS@127.0.0.1:9"])
def test_a_pacs_that_is_away(address: str, results: list[Path]) -> None:
    with pytest.raises(SourceGone, match="cannot be reached"):
        open_pacs(address).store(results)


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("ftp://host/x", "is no address of a PACS"),
        ("https://name:password@host/dicom-web", "a login does not belong into the address"),
        ("https://host/dicom-web?StudyDate=20240101", "no search belongs into the address"),
        ("dimse://PACS@host?PatientName=X", "no search belongs into the address"),
        ("dimse://host", "is no address of a PACS"),
    ],
)
def test_addresses_that_are_none(address: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as told:
        open_pacs(address)
    assert "password@" not in str(told.value)
    assert "PatientName" not in str(told.value)
