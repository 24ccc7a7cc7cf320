"""Connections without a request end; those that ask, however large the body, stay."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from adapters.serving import slow_peers
from adapters.serving.slow_peers import PunctualProtocol

HELLO = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
Connect = Callable[[], socket.socket]


class Hasty(PunctualProtocol):
    header_seconds, body_seconds, look_seconds = 0.4, 0.4, 0.05


async def _length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = Starlette(routes=[Route("/", _length, methods=["POST"])])
    config = uvicorn.Config(app, http=Hasty, ws="none", log_config=None, limit_concurrency=5, timeout_keep_alive=15)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.fixture
def connect(port: int) -> Iterator[Connect]:
    opened: list[socket.socket] = []

    def make() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_the_limits_leave_time_for_a_bad_line() -> None:
    assert slow_peers.HEADER_SECONDS >= 10
    assert slow_peers.BODY_BYTES / slow_peers.BODY_SECONDS < 2048  # bytes a second


@pytest.mark.parametrize("said", [b"", b"POST / HTTP/1.1\r\nHost: localhost\r\n", HELLO % 100 + b"x"])
def test_silence_ends_the_connection(said: bytes, connect: Connect) -> None:
    peer = connect()
    peer.sendall(said)
    assert _is_ended(peer)


def test_a_byte_now_and_then_is_no_help(connect: Connect) -> None:
    peer, begun = connect(), time.monotonic()
    peer.sendall(HELLO % 1000)
    while not _is_ended(peer, 0.05) and time.monotonic() < begun + 4:
        with suppress(OSError):
            peer.sendall(b"x")
    assert time.monotonic() < begun + 3


def test_who_keeps_sending_is_heard(connect: Connect) -> None:
    peer, part = connect(), bytes(slow_peers.BODY_BYTES)
    peer.sendall(HELLO % (len(part) * 20))
    for _ in range(20):  # five times as long as a silent one would have
        peer.sendall(part)
        time.sleep(0.1)
    assert _answer(peer).endswith(str(len(part) * 20).encode())


def test_a_second_request_has_its_own_time(connect: Connect) -> None:
    peer = connect()
    for _ in range(3):
        peer.sendall(HELLO % 2 + b"ab")
        assert _answer(peer).endswith(b"2")
        time.sleep(0.25)
    assert _is_ended(peer)


def test_silent_peers_do_not_keep_others_out(connect: Connect) -> None:
    silent = [connect() for _ in range(30)]
    time.sleep(0.2)
    n_ended = sum(_is_ended(one, 0.01) for one in silent)
    assert n_ended >= 20  # over twice the limit they are not even kept
    time.sleep(0.8)
    peer = connect()
    peer.sendall(HELLO % 2 + b"ab")
    assert _answer(peer).endswith(b"2")


def _answer(peer: socket.socket) -> bytes:
    said = b""
    while not said.partition(b"\r\n\r\n")[2]:
        said += peer.recv(1000)
    assert b"200 OK" in said
    return said


def _is_ended(peer: socket.socket, seconds: float = 5.0) -> bool:
    peer.settimeout(seconds)
    try:
        return peer.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False
