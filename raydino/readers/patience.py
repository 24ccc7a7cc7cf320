"""Trying again, with pauses that double and an end: for servers that are busy or away for a moment.

The worst case, with the last attempt's own time limits, stays below what a worker may take for a film.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

Answer = TypeVar("Answer")

PATIENCE_SECONDS = 60.0  # over all attempts but the last
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0


class Transient(Exception):
    """An attempt failed in a way that may pass; ``lasting`` is raised where it does not.

    ``pause_seconds`` is what the server asked for.
    """

    def __init__(
        self, lasting: OSError, *, patience_seconds: float = PATIENCE_SECONDS, pause_seconds: float = 0.0
    ) -> None:
        self.lasting = lasting
        self.patience_seconds = patience_seconds
        self.pause_seconds = pause_seconds
        super().__init__(lasting)


def patiently(attempt: Callable[[], Answer]) -> Answer:
    """The answer of the first attempt that does not raise Transient; in the end its ``lasting``."""
    start = monotonic()
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return attempt()
        except Transient as failure:
            wait = max(pause, failure.pause_seconds)
            if monotonic() - start + wait > failure.patience_seconds:
                raise failure.lasting from None
            sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
