"""Who may come in, and the log of who did.

On loopback without a token everybody on this machine may. Otherwise a request carries the token (``Authorization:
Bearer``), the cookie of a session that began with it, or the name that a reverse proxy found out. What a browser sends
on behalf of another site is refused whoever is logged in, and so is a name of this host that is not known (DNS
rebinding). The log is append-only JSON lines; it holds routes and job ids, never a query or a header.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.serving.limits import Rate
from raydino.errors import UserError

COOKIE = "raydino_session"
SESSION_SECONDS = 12 * 3600.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OPEN = ("/healthz", "/login", "/", "/favicon.ico")
_OPEN_BELOW = "/page/"  # the page itself, which holds no data and asks for the token
_SAFE = ("GET", "HEAD", "OPTIONS")
_LEFT = 499  # nginx's status for one who left before the answer; nobody gets it, the log does
_LOG = logging.getLogger("raydino.serve")


@dataclass
class Keeper:
    """Knows who somebody is. ``token`` None: everybody; ``proxy_header``: the name that a trusted proxy puts there."""

    token: str | None = None
    proxy_header: str | None = None
    proxies: tuple[str, ...] = LOOPBACK
    clock: Callable[[], float] = time.monotonic
    strangers: Rate = field(default_factory=lambda: Rate(per_second=1.0, burst=60.0))  # refused
    _sessions: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def who(self, headers: Mapping[str, str], peer: str) -> str | None:
        """A name for the log, or None where a login is needed."""
        if self.proxy_header is not None:
            return (headers.get(self.proxy_header) or None) if peer in self.proxies else None
        if self.token is None:
            return "local"
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return "token"
        return "session" if self._is_session(_cookie(headers.get("cookie", ""))) else None

    def is_token(self, given: str) -> bool:
        """In a time that does not depend on how much of it is right."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def begin_session(self) -> str:
        """The value of the cookie."""
        value = secrets.token_urlsafe(32)
        with self._lock:
            now = self.clock()
            self._sessions = {key: end for key, end in self._sessions.items() if end > now}
            self._sessions[value] = now + SESSION_SECONDS
        return value

    def end_session(self, headers: Mapping[str, str]) -> None:
        """Whether there was one or not."""
        with self._lock:
            self._sessions.pop(_cookie(headers.get("cookie", "")), None)

    def _is_session(self, value: str) -> bool:
        with self._lock:
            return self._sessions.get(value, 0.0) > self.clock()


def read_token(path: Path) -> str:
    """The token in a file that nobody else can read. Raises UserError."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the token cannot be read ({error})", where=path) from None
    if mode & 0o077:
        raise UserError("others on this machine can read the token", where=path, remedy=f"chmod 600 {path}")
    if len(text) < 16 or not text.isascii() or not text.isprintable():
        remedy = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        raise UserError("a token has at least 16 printable ASCII characters", where=path, remedy=remedy)
    return text


class AccessLog:
    """A line a request, appended to ``path`` (which only its owner can read)."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise UserError(f"the access log cannot be written ({error.strerror})", where=path) from None

    def write(self, **said: object) -> None:
        """One write a line, so that lines of several threads stay whole."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        os.write(self._file, (json.dumps({"time": moment, **said}) + "\n").encode())


class Access:
    """ASGI middleware before everything that reads a body."""

    def __init__(
        self,
        app: ASGIApp,
        keeper: Keeper,
        hosts: tuple[str, ...],
        log: AccessLog,
        seen: Callable[[str, str, int], None] = lambda route, method, status: None,
    ) -> None:
        """``hosts``: names under which this service may be asked for; ``seen`` is called after each request."""
        self._app, self._keeper, self._log, self._seen = app, keeper, log, seen
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # nothing here speaks WebSocket
            return await self._app(scope, receive, send) if scope["type"] == "lifespan" else None
        headers, peer = Headers(scope=scope), (scope.get("client") or ("", 0))[0]
        who = self._keeper.who(headers, peer)
        status, begun = 0, time.monotonic()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refused = self._refusal(scope, headers, who)
            if refused and who is None and not self._keeper.strangers.allows(peer):
                refused = JSONResponse({"detail": "too many requests without a login"}, 429, {"Retry-After": "10"})
            await (refused or self._app)(scope, receive, sending)
        except ClientDisconnect:
            status = _LEFT
        except Exception as error:  # a bug of ours; its text is not told to anybody, for it may quote a header
            _LOG.error("%s in the service, at %s", type(error).__name__, _place(error))
            if status:  # half an answer cannot be mended: the connection breaks
                raise RuntimeError("the answer could not be finished") from None
            await JSONResponse({"detail": "the service failed on this request"}, 500)(scope, receive, sending)
        finally:
            path = getattr(scope.get("route"), "path", "")
            self._seen(path, scope["method"], status)
            if who is not None or status != 429:  # else who floods the service would fill the disk with lines
                self._log.write(
                    who=who,
                    peer=peer,
                    method=scope["method"],
                    route=path,
                    job=scope.get("path_params", {}).get("job_id"),
                    status=status,
                    seconds=round(time.monotonic() - begun, 4),
                )

    def _refusal(self, scope: Scope, headers: Headers, who: str | None) -> JSONResponse | None:
        if _host(headers.get("host", "")) not in self._hosts:
            return JSONResponse({"detail": "this service is not known by that host name"}, 400)
        if scope["method"] not in _SAFE and not _is_of_this_site(headers):
            return JSONResponse({"detail": "another site may not ask for this"}, 403)
        is_open = scope["path"] in _OPEN or scope["path"].startswith(_OPEN_BELOW)
        if who is None and not is_open:
            return JSONResponse({"detail": "a login is needed"}, 401, {"WWW-Authenticate": "Bearer"})
        return None


def _place(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _host(header: str) -> str:
    """The name without its port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _is_of_this_site(headers: Headers) -> bool:
    """Browsers say where a request came from; programs, which nobody can make ask on a user's behalf, do not."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host", "")


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
