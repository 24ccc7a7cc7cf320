"""HTTP connections that are held open without a request: they end, before they take the places of others.

uvicorn times the pause between two requests and nothing else, so whoever reaches the port could fill all places with
connections that say nothing, or a byte now and then, and that without a login. Neighbour: ``limits``.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 20.0  # from the connection, or the answer before, to the whole header of a request
BODY_SECONDS, BODY_BYTES = 30.0, 2**15  # in each span of that length at least so much of a body: 1 KiB a second
_LOOK_SECONDS = 2.0
_PLACES = 2  # times ``limit_concurrency``: those over the limit once hear 503, those over it twice nothing


class PunctualProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with limits for how long its peer may take to ask."""

    header_seconds, body_seconds, look_seconds = HEADER_SECONDS, BODY_SECONDS, _LOOK_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > _PLACES * self.limit_concurrency:
            transport.abort()  # each is a file descriptor, and films need some too
        self._asked: object = None  # the request that was seen last
        self._since, self._came = self.loop.time(), 0
        self._next_look = self.loop.call_later(self.look_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._next_look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._came += len(data)
        super().data_received(data)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if self._is_late():
            self.transport.abort()
            return
        self._next_look = self.loop.call_later(self.look_seconds, self._look)

    def _is_late(self) -> bool:
        """Time runs only while it is the peer's turn: not while an answer is made, nor while we do not read."""
        now, is_answered = self.loop.time(), self.cycle is None or self.cycle.response_complete
        has_asked = not is_answered and not self.cycle.more_body
        if self.cycle is not self._asked or has_asked or self.flow.read_paused:
            self._asked, self._since, self._came = self.cycle, now, 0
            return False
        if is_answered:
            return now - self._since > self.header_seconds
        if now - self._since <= self.body_seconds:
            return False
        is_late = self._came < BODY_BYTES
        self._since, self._came = now, 0
        return is_late
