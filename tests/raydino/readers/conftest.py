"""Sources to read from: trees in a layout, a synthetic archive, an Orthanc that holds it, a scripted web server."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from raydino.phantom.archive import write_archive


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


@pytest.fixture(scope="session")
def orthanc(start_orthanc: Callable[..., Any], films: Path) -> Any:
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
