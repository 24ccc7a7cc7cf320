"""One GET to a DICOMweb server: login from the environment, time limits, patience, a bound on the answer.

``requests`` and not dicomweb-client: the client asks for no stored transfer syntax (``*``), parses what
it gets instead of handing on the bytes, and does not try again when a connection breaks.
Neighbour: ``dicomweb``.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from raydino.readers.base import LARGEST_FILE_BYTES, SourceGone
from raydino.readers.patience import Transient, patiently

if TYPE_CHECKING:
    import requests

TOKEN_VARIABLE = "RAYDINO_DICOMWEB_TOKEN"  # a bearer token
LOGIN_VARIABLE = "RAYDINO_DICOMWEB_LOGIN"  # name:password, for HTTP basic authentication
_CONNECT_SECONDS, _SILENCE_SECONDS = 10.0, 30.0
_CHUNK_BYTES = 2**20
_BUSY = (408, 425, 429, 502, 503, 504)
_SAME_FAULT_SECONDS = 5.0  # patience with an internal error (500): mostly it is of one object


@dataclass(frozen=True)
class Answer:
    """``media_type`` is the whole Content-Type header, parameters included."""

    media_type: str
    content: bytes


def get(url: str, accept: str, parameters: Iterable[tuple[str, str]] = ()) -> Answer:
    """What the server answers. Raises SourceGone where it serves nobody, OSError where it does not give this."""
    return patiently(partial(_attempt, url, accept, tuple(parameters)))


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


def _attempt(url: str, accept: str, parameters: tuple[tuple[str, str], ...]) -> Answer:
    import requests

    headers = {"Accept": accept}
    limits = (_CONNECT_SECONDS, _SILENCE_SECONDS)
    try:
        with _session().get(url, params=parameters, headers=headers, timeout=limits, stream=True) as response:
            _require_success(response)
            return Answer(response.headers.get("Content-Type", ""), _bounded(response))
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
