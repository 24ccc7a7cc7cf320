"""The cardiothoracic ratio of two masks: how wide the heart is, as a share of the chest.

Width of the heart: from its outermost pixel on one side to that on the other, at whatever heights they lie (the sum
of Danzer's right and left transverse diameters, 1919). Width of the chest: the same of both lungs, which is the
largest inner diameter that their masks show.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

SPECK = 0.05  # of a structure's largest part: what is smaller does not belong to it
ONE_SIDED = 0.1  # share of the lungs on one side of the heart's middle; with less, a lung is missing
SMALLEST, LARGEST = 0.2, 0.95  # no ratio of a person beyond these; the heart's or the lungs' mask is wrong


class Cardiothoracic(NamedTuple):
    """The ratio with both widths in pixels, or None with the reason why these masks give none."""

    ratio: float | None
    heart_width: int
    chest_width: int
    reason: str | None = None


def cardiothoracic_ratio(lungs: Mask | None, heart: Mask | None) -> Cardiothoracic:
    """Both masks [rows, cols] of one frontal film; ``lungs`` covers both lungs. None: there is no such mask."""
    if lungs is None or not lungs.any():
        return Cardiothoracic(None, 0, 0, "no mask of the lungs")
    if heart is None or not heart.any():
        return Cardiothoracic(None, 0, 0, "no mask of the heart")
    lungs, heart = without_specks(lungs), without_specks(heart)
    (left, right), (first, last) = _extent(lungs), _extent(heart)
    widths = last - first + 1, right - left + 1
    middle = (first + last + 1) // 2
    to_the_left = lungs[:, :middle].sum() / lungs.sum()
    if not ONE_SIDED <= to_the_left <= 1 - ONE_SIDED:
        return Cardiothoracic(None, *widths, "the lungs lie on one side of the heart")
    ratio = widths[0] / widths[1]
    if not SMALLEST <= ratio <= LARGEST:
        return Cardiothoracic(None, *widths, f"no ratio of a person lies beyond {SMALLEST} and {LARGEST}")
    return Cardiothoracic(ratio, *widths)


def without_specks(mask: Mask) -> Mask:
    """``mask`` [rows, cols] without the connected parts that are less than SPECK of its largest one."""
    n_parts, parts, figures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if n_parts < 3:  # the background and one part
        return mask
    areas = figures[:, cv2.CC_STAT_AREA]
    kept = areas >= SPECK * areas[1:].max()
    kept[0] = False
    return np.asarray(kept[parts])


def _extent(mask: Mask) -> tuple[int, int]:
    """The first and the last column of a mask that is not empty."""
    columns = np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(columns[-1])
