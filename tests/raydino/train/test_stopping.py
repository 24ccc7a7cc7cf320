"""Signals set the stop, and handlers come back."""

import signal

from raydino.processes import END_SIGNALS
from raydino.train.stopping import Stop, stopping_on_signals


def test_every_signal_stops():
    for number in END_SIGNALS:
        before = signal.getsignal(number)
        with stopping_on_signals() as stop:
            assert not stop.is_set()
            signal.raise_signal(number)
            assert stop.number == 0  # not agreed yet
            assert stop.is_set()
            assert stop.number == number
        assert signal.getsignal(number) == before


def test_set_by_hand():
    stop = Stop()
    stop.set()
    assert stop.is_set()
    assert stop.number == signal.SIGTERM
