"""Makers of masks (``base.MaskMaker``): what a worker calls for a mask that is no file of the film's size.

They are frozen dataclasses, so they travel to another process; ``raydino.dicom.film`` takes OSError
and ValueError for a mask that cannot be had.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from raydino.readers.base import MaskMaker
from raydino.readers.run_length import Convention, decode_runs

Mask = npt.NDArray[np.bool_]
Point = tuple[float, float]  # column, row


@dataclass(frozen=True)
class FileMask:
    """A grayscale file (GIF too), each pixel of it ``times`` × ``times`` pixels of the film."""

    path: Path
    times: int = 1

    def __call__(self) -> Mask:
        try:
            with Image.open(self.path) as image:
                grey = np.asarray(image.convert("L"))
        except (SyntaxError, Image.DecompressionBombError):  # what Pillow says of some broken files
            raise ValueError("not an image") from None
        inside = grey > (127 if grey.max() > 1 else 0)
        return inside.repeat(self.times, axis=0).repeat(self.times, axis=1)


@dataclass(frozen=True)
class RunsMask:
    """The union of several run-length encodings."""

    texts: tuple[str, ...]
    rows: int
    cols: int
    convention: Convention

    def __call__(self) -> Mask:
        return _union([decode_runs(text, self.rows, self.cols, self.convention) for text in self.texts])


@dataclass(frozen=True)
class PolygonMask:
    """A closed polygon on the film ``image``, whose size is the mask's; its outline belongs to it."""

    points: tuple[Point, ...]
    image: Path

    def __call__(self) -> Mask:
        if len(self.points) < 3:
            raise ValueError("a polygon of fewer than three points")
        with Image.open(self.image) as image:
            cols, rows = image.size
        filled = np.zeros((rows, cols), np.uint8)
        cv2.fillPoly(filled, [np.rint(self.points).astype(np.int32)], color=[1])
        return filled.astype(np.bool_)


@dataclass(frozen=True)
class UnionMask:
    """Several masks as one: both lungs."""

    parts: tuple[MaskMaker, ...]

    def __call__(self) -> Mask:
        return _union([part() for part in self.parts])


def _union(masks: list[Mask]) -> Mask:
    """Raises ValueError where the sizes differ or there is none."""
    if len({mask.shape for mask in masks}) != 1:
        raise ValueError("parts of different sizes")
    return np.logical_or.reduce(masks)
