"""A run ends with a checkpoint when a signal asks for it, on all ranks after the same step.

Only one rank need have the signal: ``is_set`` is a collective, which the loop calls after every step.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from raydino.processes import END_SIGNALS
from raydino.train.distributed import agreed_max


class Stop:
    """Whether to stop. ``number`` is that of the signal once all ranks have agreed to, else 0."""

    def __init__(self) -> None:
        self.number = 0
        self._received = 0

    def set(self, number: int = signal.SIGTERM) -> None:
        """Ask for an end after the current step."""
        self._received = number

    def is_set(self) -> bool:
        """Whether any rank was asked to end. All ranks must call this after the same step."""
        self.number = int(agreed_max(self._received))
        return self.number > 0


@contextmanager
def stopping_on_signals() -> Iterator[Stop]:
    """A ``Stop`` that ``END_SIGNALS`` set; their former handlers come back at the end."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.signal(number, lambda received, _: stop.set(received)) for number in END_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
