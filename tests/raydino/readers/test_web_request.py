"""One request against scripted servers: what is tried again, what stops a run, and where the login goes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from raydino.readers import web_request
from raydino.readers.base import SourceGone
from raydino.readers.web_request import get, get_once

Server = Callable[..., Any]


def answers(*scripted: tuple[int, dict[str, str], bytes]) -> Callable[[str, dict[str, str]], Any]:
    """Each in turn, the last again and again."""
    left = list(scripted)
    return lambda path, headers: left.pop(0) if len(left) > 1 else left[0]


def test_the_answer(web_server: Server) -> None:
    server = web_server(answers((200, {"Content-Type": "text/plain; x=y"}, b"film")))
    answer = get(f"{server.url}/a", "image/*", [("limit", "5"), ("PatientName", "Å B")])
    assert (answer.media_type, answer.content) == ("text/plain; x=y", b"film")
    ((path, headers),) = server.requests
    assert path == "/a?limit=5&PatientName=%C3%85+B"
    assert headers["accept"] == "image/*"
    assert "authorization" not in headers


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int, web_server: Server, pauses: list[float]) -> None:
    busy = (status, {"Retry-After": "3"}, b"")
    server = web_server(answers(busy, busy, (200, {}, b"film")))
    assert get(server.url, "*/*").content == b"film"
    assert pauses == [3, 3]


def test_an_outage_stops_the_run(web_server: Server, pauses: list[float]) -> None:
    server = web_server(answers((503, {}, b"")))
    with pytest.raises(SourceGone) as told:
        get(server.url, "*/*")
    assert told.value.strerror == "the server is busy (503)"
    assert len(server.requests) == len(pauses) + 1 > 5


def test_a_dead_server_and_a_broken_answer(web_server: Server, pauses: list[float]) -> None:
    with pytest.raises(SourceGone, match="cannot be reached"):
        get("http://127.0.0.1:9/dicom-web", "*/*")
    assert pauses
    pauses.clear()
    server = web_server(answers((200, {"Content-Length": "100"}, b"half"), (200, {}, b"whole")))
    assert get(server.url, "*/*").content == b"whole"
    assert pauses == [0.5]


def test_an_internal_error_is_of_the_film(web_server: Server, pauses: list[float]) -> None:
    server = web_server(answers((500, {}, b"patient Doe")))
    with pytest.raises(OSError, match="the server fails") as told:
        get(server.url, "*/*")
    assert not isinstance(told.value, SourceGone)
    assert sum(pauses) <= 5
    assert "Doe" not in str(told.value)


@pytest.mark.parametrize(
    ("status", "headers", "kind", "message"),
    [
        (401, {}, SourceGone, "refuses the login (401); set RAYDINO_DICOMWEB_TOKEN"),
        (403, {}, SourceGone, "refuses the login (403)"),
        (404, {}, FileNotFoundError, "does not have it (404)"),
        (406, {}, OSError, "answers 406"),
        (200, {"Content-Type": "text/html; charset=utf-8"}, SourceGone, "a web page answers, not DICOMweb"),
    ],
)
def test_what_is_not_tried_again(
    status: int, headers: dict[str, str], kind: type[OSError], message: str, web_server: Server, pauses: list[float]
) -> None:
    server = web_server(answers((status, headers, b"<html>")))
    with pytest.raises(kind) as told:
        get(server.url, "*/*")
    assert message in str(told.value.strerror)
    assert (len(server.requests), pauses) == (1, [])


def test_an_answer_beyond_the_limit(web_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_request, "LARGEST_FILE_BYTES", 2**20)
    server = web_server(answers((200, {}, bytes(3 * 2**20))))
    with pytest.raises(OSError, match="larger than 1 MiB"):
        get(server.url, "*/*")


def test_the_login_comes_from_the_environment(web_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server = web_server(answers((200, {}, b"")))
    monkeypatch.setenv("RAYDINO_DICOMWEB_LOGIN", "alice:se:cret")
    get(server.url, "*/*")
    monkeypatch.setenv("RAYDINO_DICOMWEB_TOKEN", "hush")
    get(server.url, "*/*")
    basic = "Basic " + base64.b64encode(b"alice:se:cret").decode()
    assert [headers["authorization"] for _, headers in server.requests] == [basic, "Bearer hush"]


def test_a_redirect_takes_no_login_to_another_host(web_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDINO_DICOMWEB_TOKEN", "hush")
    other = web_server(answers((200, {}, b"elsewhere")))
    server = web_server(answers((302, {"Location": f"{other.url}/b"}, b"")))
    assert get(server.url, "*/*").content == b"elsewhere"
    assert server.requests[0][1]["authorization"] == "Bearer hush"
    assert all("authorization" not in headers for _, headers in other.requests)
    circle = web_server(answers((302, {"Location": "/again"}, b"")))
    with pytest.raises(SourceGone, match="TooManyRedirects"):
        get(circle.url, "*/*")


def test_a_server_that_speaks_no_tls(web_server: Server, pauses: list[float]) -> None:
    server = web_server(answers((200, {}, b"")))
    with pytest.raises(SourceGone, match="TLS fails: is it https"):
        get(server.url.replace("http://", "https://"), "*/*")
    assert pauses == []


def test_once_is_once(web_server: Server, pauses: list[float]) -> None:
    server = web_server(answers((503, {}, b""), (200, {}, b"film")))
    with pytest.raises(SourceGone, match="the server is busy"):
        get_once(server.url, "*/*")
    assert get_once(server.url, "*/*").content == b"film"
    assert not pauses
