"""Run-length encoded masks → boolean arrays, in the conventions that the public data sets use.

A list of (start, length) pairs leaves three things open, and a wrong guess gives a mask that looks
like one but is mirrored at the diagonal or slides away: how a start is counted, in which order the
pixels are numbered, and whether the first is 0 or 1. ``Convention`` names them. COCO's counts are
another format: run lengths of background and mask in turn, often as a string.
Pure functions; they raise ValueError on text that is no encoding of a mask of that size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Convention:
    """How (start, length) pairs are meant."""

    starts: Literal["absolute", "relative"]  # relative: counted from the end of the run before
    order: Literal["rows", "columns"]  # pixel numbers run along rows, or down the columns
    first: Literal[0, 1]  # the number of the first pixel


# SIIM-ACR's mask_functions.py and CANDID-PTX: "pixel locations are measured from the end of the previous run".
RELATIVE_BY_COLUMNS = Convention("relative", "columns", 0)
# CheXmask (DataPostprocessing/utils.py).
ABSOLUTE_BY_ROWS = Convention("absolute", "rows", 1)


def decode_runs(text: str, rows: int, cols: int, convention: Convention) -> Mask:
    """The mask [rows, cols] of ``text``: whole numbers, a start and a length in turn. No number: no pixel."""
    try:
        numbers = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        raise ValueError("not a list of whole numbers") from None
    if numbers.size % 2:
        raise ValueError("an odd number of numbers")
    starts, lengths = numbers[0::2], numbers[1::2]
    if (lengths < 0).any():
        raise ValueError("a run of negative length")
    if convention.starts == "relative":
        if (starts < 0).any():
            raise ValueError("a run that starts before the end of another")
        starts = np.cumsum(starts + lengths) - lengths
    starts = starts - convention.first
    ends = starts + lengths
    if numbers.size and (starts.min() < 0 or ends.max() > rows * cols):
        raise ValueError(f"runs beyond {rows} × {cols} pixels")
    pixels = np.zeros(rows * cols, np.bool_)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        pixels[start:end] = True
    return _shaped(pixels, rows, cols, convention.order)


def decode_counts(counts: Sequence[int] | str, rows: int, cols: int) -> Mask:
    """The mask [rows, cols] of COCO counts (a list, or its compressed string): pixels run down the columns."""
    lengths = np.asarray(expand_counts(counts) if isinstance(counts, str) else counts, dtype=np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != rows * cols:
        raise ValueError(f"counts that do not add up to {rows} × {cols} pixels")
    inside = np.arange(lengths.size) % 2 == 1
    return _shaped(np.repeat(inside, lengths), rows, cols, "columns")


def expand_counts(text: str) -> list[int]:
    """COCO's compressed counts as numbers.

    A number is a chain of characters of value ord - 48: five bits each, lowest first, bit 5 says that
    more follow, bit 4 of the last is the sign. From the fourth on, it is the difference to the
    number two places before.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("not a string of COCO counts")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("a string of COCO counts that ends inside a number")
    return counts


def _shaped(pixels: Mask, rows: int, cols: int, order: Literal["rows", "columns"]) -> Mask:
    return pixels.reshape(rows, cols) if order == "rows" else np.ascontiguousarray(pixels.reshape(cols, rows).T)
