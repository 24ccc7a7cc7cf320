"""Sources to read from: trees in a layout, a synthetic archive, a real Orthanc that holds it, a scripted web server."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pydicom
import pytest

from raydino.phantom.archive import write_archive

PLUGINS = Path("/usr/share/orthanc/plugins")
START_SECONDS = 30.0


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 patients, 25 films in five transfer syntaxes, one of them a copy under another UID; no broken file."""
    made = tmp_path_factory.mktemp("films") / "synthetic"
    write_archive(made, patients=12, seed=3)
    truth = json.loads((made / "truth.json").read_text())
    for broken in truth["corrupt_files"]:
        (made / "archive" / broken["file"]).unlink()
    assert truth["exact_duplicates"]
    return made / "archive"


@dataclass(frozen=True)
class Orthanc:
    """A PACS on this machine. ``reader_port`` is where it sends what READER moves."""

    web_port: int
    dicom_port: int
    reader_port: int

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/dicom-web"

    def dimse(self, query: str = "", aet: str = "READER") -> str:
        return f"dimse://ORTHANC@127.0.0.1:{self.dicom_port}?aet={aet}&{query}"

    def move(self, query: str = "") -> str:
        return self.dimse(f"retrieve=move&port={self.reader_port}&bind=127.0.0.1&{query}")

    def store(self, files: list[Path]) -> None:
        """C-STORE, each in the transfer syntax that it has."""
        from pynetdicom import AE, build_context

        datasets = [pydicom.dcmread(file) for file in files]
        kinds = {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets}
        contexts = [build_context(sop_class, [syntax]) for sop_class, syntax in sorted(kinds)]
        association = AE("READER").associate("127.0.0.1", self.dicom_port, contexts=contexts, ae_title="ORTHANC")
        assert association.is_established
        assert [association.send_c_store(dataset).Status for dataset in datasets] == [0] * len(datasets)
        association.release()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


@pytest.fixture(scope="session")
def start_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Orthanc]]:
    """``start(**configuration)``: an Orthanc with storage of its own, killed at the end."""
    plugins = [PLUGINS / "libOrthancDicomWeb.so", PLUGINS / "libOrthancGdcm.so"]
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    if not Path(program).exists() or not all(plugin.exists() for plugin in plugins):
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb orthanc-gdcm")
    running: list[subprocess.Popen[bytes]] = []

    def start(**changes: Any) -> Orthanc:
        folder = tmp_path_factory.mktemp("orthanc")
        orthanc = Orthanc(*free_ports(3))
        configuration = {
            "StorageDirectory": str(folder),
            "IndexDirectory": str(folder),
            "Plugins": list(map(str, plugins)),
            "HttpPort": orthanc.web_port,
            "HttpBindAddresses": ["127.0.0.1"],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": "ORTHANC",
            "DicomPort": orthanc.dicom_port,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {"reader": ["READER", "127.0.0.1", orthanc.reader_port]},
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **changes,
        }
        file = folder / "orthanc.json"
        file.write_text(json.dumps(configuration))
        with (folder / "log").open("wb") as log:
            running.append(subprocess.Popen([program, str(file)], stdout=log, stderr=log))
        wait_for(orthanc.web_port, running[-1])
        return orthanc

    yield start
    for process in running:
        process.kill()
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=1).close()
            return
        except urllib.error.HTTPError:  # it wants a login: it serves
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("Orthanc did not start")


@pytest.fixture(scope="session")
def orthanc(start_orthanc: Callable[..., Orthanc], films: Path) -> Orthanc:
    """Holds ``films``."""
    started = start_orthanc()
    started.store(sorted(path for path in films.rglob("*") if path.is_file()))
    return started


@dataclass
class Script:
    """A web server whose answers are a function: (path with query, headers) → status, headers, body."""

    answer: Callable[[str, dict[str, str]], tuple[int, dict[str, str], bytes]]
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def web_server() -> Iterator[Callable[..., Script]]:
    """``serve(answer)``: a Script that is served until the test ends."""
    servers: list[ThreadingHTTPServer] = []

    def serve(answer: Callable[[str, dict[str, str]], tuple[int, dict[str, str], bytes]]) -> Script:
        script = Script(answer)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.requests.append((self.path, headers))
                status, own, body = script.answer(self.path, headers)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **own}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        return script

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that ``patience`` makes, each over at once for the tests and its clock."""
    made: list[float] = []
    monkeypatch.setattr("raydino.readers.patience.sleep", made.append)
    monkeypatch.setattr("raydino.readers.patience.monotonic", lambda: sum(made))
    return made


Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """``tree({"table.csv": "a,b\\n", "films/1.png": ""}, "name")``: the folder; ``.gz`` names are compressed."""

    def make(files: Mapping[str, str], name: str = "source") -> Path:
        root = tmp_path / name
        for file, text in files.items():
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(text.encode()) if file.endswith(".gz") else text.encode())
        return root

    return make
