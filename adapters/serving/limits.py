"""How much and how often somebody may ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.serving.intake import Full

_MOST_PEERS = 10_000
_MOST_DIGITS = 18  # of a length; int() refuses to read thousands
LOGINS_PER_MINUTE = 6


class TooLarge(Exception):
    """The body went over the limit while it was read."""


@dataclass
class Rate:
    """A bucket of ``burst`` requests for each peer, refilled with ``per_second``."""

    per_second: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)  # left, when
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allows(self, peer: str) -> bool:
        """Take one request out of the peer's bucket, if there is one."""
        with self._lock:
            now = self.clock()
            left, when = self._buckets.pop(peer, (self.burst, now))
            left = min(self.burst, left + (now - when) * self.per_second)
            if len(self._buckets) >= _MOST_PEERS:  # the longest silent one, whose bucket is the fullest
                self._buckets.pop(next(iter(self._buckets)))
            is_allowed = left >= 1  # who is refused loses nothing, or one who asks too often would never be let in
            self._buckets[peer] = (left - is_allowed, now)
            return is_allowed


class Limits:
    """ASGI middleware: 429 for those who ask too often, 413 for what is too large, before it is read whole."""

    def __init__(self, app: ASGIApp, most_bytes: int, rate: Rate, logins: Rate) -> None:
        self._app, self._most_bytes, self._rate, self._logins = app, most_bytes, rate, logins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        peer = (scope.get("client") or ("", 0))[0]
        is_login = scope["path"] == "/login" and scope["method"] == "POST"
        if not self._rate.allows(peer) or (is_login and not self._logins.allows(peer)):
            again = {"Retry-After": "10" if is_login else "1"}
            return await JSONResponse({"detail": "too many requests"}, 429, again)(scope, receive, send)
        stated = Headers(scope=scope).get("content-length", "0")
        refused = JSONResponse({"detail": f"a request has at most {self._most_bytes // 2**20} MiB"}, 413)
        if not stated.isdecimal() or len(stated) > _MOST_DIGITS or int(stated) > self._most_bytes:
            return await refused(scope, receive, send)
        has_begun, taken = False, 0

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most_bytes:
                raise TooLarge
            return message

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            return await self._app(scope, receiving, sending)
        except TooLarge:
            if not has_begun:
                await refused(scope, receive, send)


class Bodies:
    """ASGI middleware: Full once the bodies of all requests that are being answered have more than ``most_bytes``.

    A form's small files are kept in memory until its answer, so a limit for one request is none for all of them.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app, self._most_bytes, self._held = app, most_bytes, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held = 0

        async def receiving() -> Message:
            nonlocal held
            message = await receive()
            came = len(message.get("body", b""))
            held, self._held = held + came, self._held + came
            if self._held > self._most_bytes:
                raise Full
            return message

        try:
            await self._app(scope, receiving, send)
        finally:
            self._held -= held
