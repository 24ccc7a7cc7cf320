"""The odd files of a real archive: copies under another UID, re-exports, and broken files.

``plan_odd_files`` decides from the seed which patients carry which; archive writes them and lists
them in truth.json.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from raydino.phantom.stored_values import Encoding

CORRUPT_KINDS = ("truncated", "zeroed", "text", "no_pixels")
_ONE_IN = 60  # patients with an exact duplicate; as many with a near duplicate, half as many with each kind of damage
_CROP = 0.02  # of a side at most, for near duplicates


@dataclass(frozen=True)
class OddFiles:
    """Patients (by index) with something odd in their folder."""

    exact: frozenset[int]
    near: frozenset[int]
    corrupt: dict[int, str] = field(default_factory=dict)  # patient -> kind


def plan_odd_files(rng: np.random.Generator, patients: int) -> OddFiles:
    """At least one of each kind from eight patients on, about one in sixty in a large archive."""
    count = max(1, round(patients / _ONE_IN))
    each = max(1, round(patients / (2 * _ONE_IN)))
    order = [int(i) for i in rng.permutation(patients)]
    exact, near, rest = order[:count], order[count : 2 * count], order[2 * count :]
    kinds = list(CORRUPT_KINDS) * each
    return OddFiles(frozenset(exact), frozenset(near), dict(zip(rest, kinds, strict=False)))


def broken(content: bytes, headless: bytes, kind: str) -> bytes:
    """A damaged version of the file ``content``; ``headless`` is the same file without pixel data."""
    if kind == "truncated":
        return content[: len(content) // 3]
    if kind == "zeroed":
        return bytes(len(content))
    if kind == "text":
        return b"This file was renamed to .dcm; it holds no image.\n" * 40
    return headless


def re_export(encoding: Encoding) -> Encoding:
    """Another transfer syntax and another window for the same film."""
    syntax = "ExplicitVRLittleEndian" if encoding.transfer_syntax != "ExplicitVRLittleEndian" else "JPEGLSLossless"
    voi = "windows" if encoding.voi == "window" else "window"
    return replace(encoding, transfer_syntax=syntax, voi=voi, low=0.05, high=0.93)


def crop_box(rng: np.random.Generator, rows: int, cols: int) -> tuple[slice, slice]:
    """A crop that loses at most a fiftieth at each edge."""
    top, bottom = (int(n) for n in rng.integers(1, max(2, int(rows * _CROP)), 2))
    left, right = (int(n) for n in rng.integers(1, max(2, int(cols * _CROP)), 2))
    return slice(top, rows - bottom), slice(left, cols - right)
