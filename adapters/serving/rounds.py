"""Work that is done again and again beside the service, with pauses that grow while the PACS is away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from raydino.readers.base import SourceGone

LONGEST_PAUSE_SECONDS = 300.0
_STOP_SECONDS = 10.0
_LOG = logging.getLogger("raydino.serve")


class Rounds:
    """Calls ``work`` in a thread, ``pause_seconds`` after its last call ended.

    ``work`` raises SourceGone where the PACS serves nobody: then pauses double, up to ``LONGEST_PAUSE_SECONDS``. One
    line is logged when the PACS goes, and one when it is back.
    """

    def __init__(self, name: str, work: Callable[[], None], pause_seconds: float) -> None:
        self._name, self._work, self._pause_seconds = name, work, pause_seconds
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.away: str | None = None  # why the PACS cannot be had, while it cannot

    @property
    def is_ending(self) -> bool:
        """``work`` looks at it between two steps."""
        return self._ending.is_set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; what is left is done after the next start.

        A request that hangs is left behind: everything that matters is on the disk.
        """
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def wait(self, seconds: float) -> None:
        """Pause within ``work``, but not when it is time to end."""
        self._ending.wait(seconds)

    def _run(self) -> None:
        pause = self._pause_seconds
        while not self._ending.is_set():
            try:
                self._work()
            except Exception as error:  # never quoted unless it is one of ours: it may hold a header
                self._failed(error)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                if self.away is not None:
                    _LOG.warning("%s: goes on", self._name)
                self.away, pause = None, self._pause_seconds
            self._ending.wait(pause)

    def _failed(self, error: Exception) -> None:
        why = str(error.strerror) if isinstance(error, SourceGone) else f"{type(error).__name__} in the service"
        if why != self.away and not self._ending.is_set():
            _LOG.warning("%s: waits; %s", self._name, why)
        self.away = why
