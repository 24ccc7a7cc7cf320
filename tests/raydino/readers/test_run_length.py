"""Golden masks, drawn by hand; none is its own transpose or mirror image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from raydino.readers.run_length import (
    ABSOLUTE_BY_ROWS,
    RELATIVE_BY_COLUMNS,
    Convention,
    decode_counts,
    decode_runs,
    expand_counts,
)


def drawn(*lines: str) -> npt.NDArray[np.bool_]:
    return np.array([[character == "#" for character in line] for line in lines])


HOOK = drawn(
    ".#..",
    ".###",
    "....",
)
# Down the columns HOOK is ... ##. .#. .#. : pixels 3, 4, 7 and 10 of 12. Along the rows: 1, 5, 6, 7.


@pytest.mark.parametrize(
    ("text", "convention"),
    [
        ("3 2 2 1 2 1", RELATIVE_BY_COLUMNS),
        ("3 1 0 1 2 1 2 1", RELATIVE_BY_COLUMNS),  # two runs that touch
        ("2 1 6 3", ABSOLUTE_BY_ROWS),
        ("6 3 2 1", ABSOLUTE_BY_ROWS),  # in any order
        ("2 1 6 2 7 2", ABSOLUTE_BY_ROWS),  # overlapping
        ("1 1 5 3", Convention("absolute", "rows", 0)),
        ("4 2 8 1 11 1", Convention("absolute", "columns", 1)),
        ("1 1 3 3", Convention("relative", "rows", 0)),
        ("4 2 2 1 2 1", Convention("relative", "columns", 1)),
    ],
)
def test_one_mask_in_every_convention(text: str, convention: Convention) -> None:
    np.testing.assert_array_equal(decode_runs(text, 3, 4, convention), HOOK)


def test_another_convention_is_another_mask() -> None:
    by_columns = decode_runs("3 2 2 1 2 1", 3, 4, RELATIVE_BY_COLUMNS)
    by_rows = decode_runs("3 2 2 1 2 1", 3, 4, Convention("relative", "rows", 0))
    absolute = decode_runs("3 2 2 1 2 1", 3, 4, Convention("absolute", "columns", 0))
    assert not np.array_equal(by_columns, by_rows)
    assert not np.array_equal(by_columns, absolute)


def test_the_first_and_the_last_pixel() -> None:
    corners = drawn("#..", "..#")
    np.testing.assert_array_equal(decode_runs("0 1 4 1", 2, 3, RELATIVE_BY_COLUMNS), corners)
    np.testing.assert_array_equal(decode_runs("1 1 6 1", 2, 3, ABSOLUTE_BY_ROWS), corners)


def test_no_run_is_no_pixel() -> None:
    mask = decode_runs("  ", 2, 3, ABSOLUTE_BY_ROWS)
    assert (mask.shape, mask.dtype, mask.any()) == ((2, 3), np.bool_, False)


@pytest.mark.parametrize(
    ("text", "convention", "message"),
    [
        ("-1", RELATIVE_BY_COLUMNS, "an odd number"),
        ("1 2 3", ABSOLUTE_BY_ROWS, "an odd number"),
        ("a b", ABSOLUTE_BY_ROWS, "whole numbers"),
        ("1.5 2", ABSOLUTE_BY_ROWS, "whole numbers"),
        ("9" * 30 + " 1", ABSOLUTE_BY_ROWS, "whole numbers"),
        ("1 -2", ABSOLUTE_BY_ROWS, "negative length"),
        ("5 1 -2 1", RELATIVE_BY_COLUMNS, "before the end"),
        ("0 1", ABSOLUTE_BY_ROWS, "beyond 2 × 3"),
        ("6 2", ABSOLUTE_BY_ROWS, "beyond 2 × 3"),
        ("5 2", RELATIVE_BY_COLUMNS, "beyond 2 × 3"),
    ],
)
def test_what_is_no_mask(text: str, convention: Convention, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_runs(text, 2, 3, convention)


def test_coco_counts() -> None:
    # down the columns: 3 off, 2 on, 2 off, 1 on, 2 off, 1 on, 1 off
    np.testing.assert_array_equal(decode_counts([3, 2, 2, 1, 2, 1, 1], 3, 4), HOOK)
    # From the fourth on as differences: 3 2 2, 1-2=-1, 2-2=0, 1-1=0, 1-2=-1; -1 is all five bits: 31 + 48 = "O".
    assert expand_counts("322O00O") == [3, 2, 2, 1, 2, 1, 1]
    np.testing.assert_array_equal(decode_counts("322O00O", 3, 4), HOOK)
    np.testing.assert_array_equal(decode_counts([0, 1, 5], 2, 3), drawn("#..", "..."))


def test_coco_numbers_of_several_characters() -> None:
    # 16 has the sign's bit, so a second character follows: 16 + 32 + 48 = 96 "`", then 0 "0".
    assert expand_counts("`0") == [16]
    # 1000 = 31 · 32 + 8: 8 + 32 + 48 = 88 "X", 31 + 32 + 48 = 111 "o", 0 "0".
    assert expand_counts("Xo0") == [1000]
    # 40 - 1000 = -960 = -30 · 32: 0 + 32 + 48 = 80 "P"; -30 = 2 - 32: 2 + 32 + 48 = 82 "R"; -1 "O".
    assert expand_counts("2Xo03PRO") == [2, 1000, 3, 40]


@pytest.mark.parametrize("counts", ["", "3", "`", "é", [3, 2], [-1, 13], [[12]]])
def test_what_are_no_counts(counts: object) -> None:
    with pytest.raises(ValueError, match="counts"):
        decode_counts(counts, 3, 4)  # type: ignore[arg-type]
