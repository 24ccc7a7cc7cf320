from __future__ import annotations

import pytest

from raydino.readers.patience import PATIENCE_SECONDS, Transient, patiently


class Failing:
    """Fails ``times`` times, each with what is given."""

    def __init__(self, times: int, **failure: float) -> None:
        self.left, self.failure = times, failure

    def __call__(self) -> str:
        self.left -= 1
        if self.left >= 0:
            raise Transient(OSError(5, "busy"), **self.failure)
        return "answer"


def test_pauses_double_up_to_a_limit(pauses: list[float]) -> None:
    assert patiently(Failing(7)) == "answer"
    assert pauses == [0.5, 1, 2, 4, 8, 15, 15]


def test_patience_ends_with_the_lasting_fault(pauses: list[float]) -> None:
    with pytest.raises(OSError, match="busy") as told:
        patiently(Failing(10**6))
    assert PATIENCE_SECONDS - 15 < sum(pauses) <= PATIENCE_SECONDS
    assert told.value.__suppress_context__


def test_the_server_may_ask_for_longer_pauses_but_not_for_ever(pauses: list[float]) -> None:
    assert patiently(Failing(2, pause_seconds=10)) == "answer"
    assert pauses == [10, 10]
    pauses.clear()
    with pytest.raises(OSError, match="busy"):
        patiently(Failing(2, pause_seconds=3600))
    assert pauses == []


def test_other_faults_are_not_tried_again(pauses: list[float]) -> None:
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        patiently(fail)
    assert pauses == []
