"""One request to a DICOMweb server: login from the environment, time limits, patience, a bound on the answer.

``requests`` and not dicomweb-client: the client asks for no stored transfer syntax (``*``), parses what
it gets instead of handing on the bytes, and does not try again when a connection breaks.
Neighbours: ``dicomweb``, and in the reading room ``pacs``.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

from raydino.readers.base import LARGEST_FILE_BYTES, SourceGone
from raydino.readers.patience import Transient, patiently

if TYPE_CHECKING:
    import requests

TOKEN_VARIABLE = "RAYDINO_DICOMWEB_TOKEN"  # a bearer token
LOGIN_VARIABLE = "RAYDINO_DICOMWEB_LOGIN"  # name:password, for HTTP basic authentication
_CONNECT_SECONDS, _SILENCE_SECONDS = 10.0, 30.0
_CHUNK_BYTES = 2**20
_BUSY = (408, 425, 429, 502, 503, 504)
REFUSALS = (400, 405, 406, 409, 411, 413, 415, 422, 501)  # of what was sent (PS3.18 10.5.3, RFC 9110)
_SAME_FAULT_SECONDS = 5.0  # patience with an internal error (500): mostly it is of one object


@dataclass(frozen=True)
class Answer:
    """``media_type`` is the whole Content-Type header, parameters included."""

    media_type: str
    content: bytes
    status: int = 200


Parameters = Iterable[tuple[str, str]]
Given = TypeVar("Given")


def get(url: str, accept: str, parameters: Parameters = ()) -> Answer:
    """What the server answers. Raises SourceGone where it serves nobody, OSError where it does not give this."""
    return patiently(partial(_attempt, "GET", url, {"Accept": accept}, tuple(parameters)))


def get_once(url: str, accept: str, parameters: Parameters = ()) -> Answer:
    """As ``get``, for callers with a patience of their own."""
    return _at_once(partial(_attempt, "GET", url, {"Accept": accept}, tuple(parameters)))


def post_once(url: str, accept: str, media_type: str, content: bytes) -> Answer:
    """Send ``content``, once. An answer of ``REFUSALS`` comes back too: STOW-RS tells in it what it refuses."""
    headers = {"Accept": accept, "Content-Type": media_type}
    return _at_once(partial(_attempt, "POST", url, headers, content=content, telling=REFUSALS))


def stream(url: str, headers: Mapping[str, str], parameters: Parameters = ()) -> requests.Response:
    """The answer with its body still to be read, whatever its status; redirects are not followed.

    Raises SourceGone where there is none. The caller closes it.
    """
    return _at_once(partial(_opened, url, dict(headers), tuple(parameters)))


def _opened(url: str, headers: dict[str, str], parameters: tuple[tuple[str, str], ...]) -> requests.Response:
    limits = (_CONNECT_SECONDS, _SILENCE_SECONDS)
    with _faults_in_words():
        return _session().get(
            url, params=parameters, headers=headers, timeout=limits, stream=True, allow_redirects=False
        )


def _at_once(attempt: Callable[[], Given]) -> Given:
    try:
        return attempt()
    except Transient as failure:
        raise failure.lasting from None


def _log_in(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Read anew for each request, so neither token nor password is ever part of an object that is pickled.

    requests drops the header on a redirect to another host.
    """
    from requests.auth import HTTPBasicAuth

    if token := os.environ.get(TOKEN_VARIABLE):
        request.headers["Authorization"] = f"Bearer {token}"
    elif login := os.environ.get(LOGIN_VARIABLE):
        return HTTPBasicAuth(*login.partition(":")[::2])(request)
    return request


@cache
def _session() -> requests.Session:
    """One for each process: connections stay open between films."""
    import requests

    session = requests.Session()
    session.auth = _log_in
    session.max_redirects = 5
    return session


def _attempt(
    method: str,
    url: str,
    headers: dict[str, str],
    parameters: tuple[tuple[str, str], ...] = (),
    content: bytes | None = None,
    telling: Sequence[int] = (),
) -> Answer:
    """``telling``: statuses of failures whose body is wanted."""
    limits = (_CONNECT_SECONDS, _SILENCE_SECONDS)
    with (
        _faults_in_words(),
        _session().request(
            method, url, params=parameters, headers=headers, data=content, timeout=limits, stream=True
        ) as response,
    ):
        if response.status_code not in telling:
            _require_success(response)
        return Answer(response.headers.get("Content-Type", ""), _bounded(response), response.status_code)


@contextmanager
def _faults_in_words() -> Iterator[None]:
    """What goes wrong with a connection. Raises Transient or SourceGone."""
    import requests

    try:
        yield
    except requests.exceptions.SSLError:
        why = "TLS fails: is it https, and its certificate's authority known? (a file in REQUESTS_CA_BUNDLE)"
        raise SourceGone(why) from None
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    ):
        raise Transient(SourceGone("the server cannot be reached, or breaks off")) from None
    except requests.RequestException as error:  # too many redirects, an address that is none
        raise SourceGone(f"the server cannot be asked ({type(error).__name__})") from None


def _require_success(response: requests.Response) -> None:
    status = response.status_code
    if status in (401, 403, 407):
        raise SourceGone(f"the server refuses the login ({status}); set {TOKEN_VARIABLE} to a valid token")
    if status in (404, 410):
        raise FileNotFoundError(errno.ENOENT, f"the server does not have it ({status})")
    if status in _BUSY:
        raise Transient(SourceGone(f"the server is busy ({status})"), pause_seconds=_asked_pause(response))
    if status >= 500:
        raise Transient(OSError(errno.EIO, f"the server fails ({status})"), patience_seconds=_SAME_FAULT_SECONDS)
    if status >= 300:
        raise OSError(errno.EIO, f"the server answers {status}")
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise SourceGone("a web page answers, not DICOMweb; is it the DICOMweb root, and the login valid?")


def _asked_pause(response: requests.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0.0


def _bounded(response: requests.Response) -> bytes:
    content = bytearray()
    end = time.monotonic() + 2 * _SILENCE_SECONDS
    for chunk in response.iter_content(_CHUNK_BYTES):
        content += chunk
        if len(content) > LARGEST_FILE_BYTES:
            raise OSError(errno.EFBIG, f"larger than {LARGEST_FILE_BYTES // 2**20} MiB")
        if time.monotonic() > end:
            raise Transient(SourceGone("the server sends too slowly"))
    return bytes(content)
