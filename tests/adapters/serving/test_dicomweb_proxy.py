"""The proxy of the PACS's DICOMweb: what it holds, with this service's login, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from adapters.serving.dicomweb_proxy import proxy_routes
from raydino.readers.web_request import TOKEN_VARIABLE

Asked = list[tuple[str, dict[str, str]]]


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture
def client(asked: Asked) -> Iterator[TestClient]:
    """Of a proxy before a PACS that answers with the last word of the path, a number being a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            word = self.path.partition("?")[0].rpartition("/")[2]
            self.send_response(int(word) if word.isdecimal() else 200)
            body = word.encode() * 100_000
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Set-Cookie", "session=of-the-pacs")
            self.send_header("Location", "http://elsewhere.example/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    app = FastAPI()
    app.include_router(proxy_routes(f"http://127.0.0.1:{server.server_address[1]}/pacs/dicom-web"))
    yield TestClient(app)
    server.shutdown()
    server.server_close()


def test_what_is_passed_on_and_back(client: TestClient, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "of-this-service")
    own = {"Accept": "a/b", "Cookie": "raydino_session=x", "Authorization": "Bearer of-the-user", "X-Other": "x"}
    answer = client.get("/dicom-web/studies/2.25.1/series?includefield=0020000D&limit=5", headers=own)
    assert answer.content == b"series" * 100_000
    assert answer.headers["content-type"] == "application/dicom+json"
    assert "set-cookie" not in answer.headers
    ((path, headers),) = asked
    assert path == "/pacs/dicom-web/studies/2.25.1/series?includefield=0020000D&limit=5"
    assert headers["authorization"] == "Bearer of-this-service"
    assert headers["accept"] == "a/b"
    assert not {"cookie", "x-other"} & headers.keys()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "instances/../../system",
        "studies/%2e%2e/%2e%2e/patients",
        "studies/..%2f..%2fsystem",
        "studies//1",
        "studies/1/",
        "studies/a:b",
        "studies/1%0d%0aX:y",
        "studies/1%3Fx",
        "patients/1",
        "http://elsewhere.example/studies",
        "studies/" + "x" * 200,
    ],
)
def test_nothing_but_dicomweb(path: str, client: TestClient, asked: Asked) -> None:
    assert client.get(f"/dicom-web/{path}").status_code == 404
    assert not asked


def test_reading_only(client: TestClient, asked: Asked) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/dicom-web/studies").status_code == 405
    assert not asked


@pytest.mark.parametrize(("status", "told"), [(301, 502), (302, 502), (401, 502), (404, 404), (500, 500)])
def test_answers_of_the_pacs(status: int, told: int, client: TestClient, asked: Asked) -> None:
    answer = client.get(f"/dicom-web/studies/{status}", follow_redirects=False)
    assert answer.status_code == told
    assert "location" not in answer.headers
    assert len(asked) == 1


def test_a_pacs_that_is_away() -> None:
    app = FastAPI()
    app.include_router(proxy_routes("http://127.0.0.1:9/dicom-web"))
    answer = TestClient(app).get("/dicom-web/studies")
    assert answer.status_code == 502
    assert answer.json() == {"detail": "the server cannot be reached, or breaks off"}
