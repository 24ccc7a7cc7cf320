"""Stored values of one frame (PS3.5 8.1): the words of the file, and what each pattern stands for.

Grayscale is a function of the stored value alone, so ``contrast`` computes it once for each pattern,
and the pixels are looked up. Bits that are not the value's (an overlay above or below it) are never
cleared: the table repeats over them. Neighbours: ``decode`` makes frames, ``pixels`` looks them up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class StoredFrame:
    """``values[p]`` is the stored value of pattern p; a word's pattern stands ``shift`` bits up in it.

    Words of 8 or 16 bits index the table as they are; wider ones were replaced by the place of their
    value among the film's values, in ascending order.
    """

    words: Words  # [rows, cols]
    values: Floats  # [patterns]
    shift: int = 0

    @classmethod
    def of(cls, words: Words, bits: int, *, signed: bool = False, shift: int = 0) -> StoredFrame:
        """``bits`` of a stored value, from bit ``shift`` of each word upwards, two's complement where signed."""
        container = 8 * words.dtype.itemsize
        bits, shift = min(bits, container), max(0, min(shift, container - bits))
        if container <= 16:
            return cls(words, _values(np.arange(2**bits, dtype=np.int64), bits, signed), shift)
        patterns = (words.astype(np.int64) >> shift) & (2**bits - 1)
        values, places = np.unique(_values(patterns, bits, signed), return_inverse=True)
        if len(values) > 2**16:
            return cls(places.reshape(words.shape).astype(np.uint32), values)
        values = np.pad(values, (0, 2**16 - len(values)), mode="edge")  # patterns that no pixel has
        return cls(places.reshape(words.shape).astype(np.uint16), values)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.words.shape[0], self.words.shape[1]

    def counts(self, field: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.int64]:
        """How many pixels of each pattern there are, inside ``field`` (not 0) where it is given."""
        if self.words.dtype.itemsize <= 2:
            container = 2 ** (8 * self.words.dtype.itemsize)
            words = np.ascontiguousarray(self.words)
            found = cv2.calcHist([words], [0], field, [container], [0, container]).ravel()  # type: ignore[arg-type]
        else:
            chosen = self.words if field is None else self.words[field > 0]
            found = np.bincount(chosen.ravel(), minlength=len(self.values))
        folded = found.astype(np.int64).reshape(-1, len(self.values), 2**self.shift)
        return np.asarray(folded.sum(axis=(0, 2)))

    def sampled(self, most: int) -> tuple[Floats, tuple[int, int]]:
        """Stored values of every n-th row and m-th column, at most ``2 * most`` of each, and these steps."""
        steps = max(1, self.words.shape[0] // most), max(1, self.words.shape[1] // most)
        words = self.words[:: steps[0], :: steps[1]].astype(np.intp)
        return self.values[(words >> self.shift) % len(self.values)], steps

    def over_words(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A table over patterns as a table over words: repeated for foreign bits below, again for those above."""
        if self.words.dtype.itemsize > 2:
            return table
        return np.resize(np.repeat(table, 2**self.shift), 2 ** (8 * self.words.dtype.itemsize))


def look_up(words: Words, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 of the words' shape. ``table`` is over words."""
    if words.dtype.itemsize > 2:
        return table[words]
    return np.asarray(cv2.LUT(words, table))  # type: ignore[call-overload]


def _values(patterns: npt.NDArray[np.int64], bits: int, signed: bool) -> Floats:
    negative = signed & (patterns >= 2 ** (bits - 1))
    return np.where(negative, patterns - 2**bits, patterns).astype(np.float64)
