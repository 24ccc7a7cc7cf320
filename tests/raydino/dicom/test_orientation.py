from __future__ import annotations

import itertools

import numpy as np
import pytest

from raydino.dicom.orientation import Turn, turn_to_standard


@pytest.mark.parametrize("turn", [Turn(*flags) for flags in itertools.product([False, True], repeat=3)])
def test_a_turned_film_is_turned_back(turn: Turn) -> None:
    """Display a standard film in each of the eight orientations, label it, and expect the original."""
    standard = np.arange(12).reshape(3, 4)
    along_rows, along_cols = ("R" if turn.flipped_left_right else "L"), ("H" if turn.flipped_up_down else "F")
    mirrored = standard[:: -1 if turn.flipped_up_down else 1, :: -1 if turn.flipped_left_right else 1]
    shown, labels = (mirrored.T, (along_cols, along_rows)) if turn.transposed else (mirrored, (along_rows, along_cols))
    found = turn_to_standard(labels)
    assert found == turn
    np.testing.assert_array_equal(found.apply(shown), standard)
    np.testing.assert_array_equal(found.undo(standard), shown)


def test_what_is_recorded() -> None:
    assert Turn().describe() is None
    assert turn_to_standard(("H", "R")).describe() == (
        "turned to the standard display: transposed, flipped up-down, flipped left-right"
    )


@pytest.mark.parametrize("labels", [(), ("L",), ("L", "A"), ("F", "F"), ("", ""), ("X", "F")])
def test_what_cannot_be_understood_is_left_alone(labels: tuple[str, ...]) -> None:
    assert turn_to_standard(labels) == Turn()
