"""Where views lie on a film: boxes [n, 4] of (top, left, rows, cols), drawn from the film's size alone."""

from __future__ import annotations

import math

import numpy as np

from raydino.data.augment.plan import Ints

ASPECTS = (3 / 4, 4 / 3)  # cols / rows
_TRIES = 10


def random_boxes(shape: tuple[int, int], size: int, n: int, rng: np.random.Generator) -> Ints:
    """Squares of ``size`` pixels at uniform places; ``size`` must fit into ``shape``."""
    rows, cols = shape
    sides = np.full(n, size)
    return np.stack([rng.integers(0, rows - sides + 1), rng.integers(0, cols - sides + 1), sides, sides], axis=1)


def random_resized_boxes(shape: tuple[int, int], scale: tuple[float, float], n: int, rng: np.random.Generator) -> Ints:
    """Boxes of a uniform share of the area and a log-uniform aspect, as torchvision's RandomResizedCrop draws.

    Where ten tries do not fit (a long film, a share near 1), the box is the largest central one whose aspect
    is within bounds.
    """
    rows, cols = shape
    areas = rows * cols * rng.uniform(*scale, size=(n, _TRIES))
    aspects = np.exp(rng.uniform(math.log(ASPECTS[0]), math.log(ASPECTS[1]), size=(n, _TRIES)))
    heights, widths = np.rint(np.sqrt(areas / aspects)), np.rint(np.sqrt(areas * aspects))
    fits = (heights > 0) & (heights <= rows) & (widths > 0) & (widths <= cols)
    first = np.arange(n), fits.argmax(axis=1)
    height, width = heights[first].astype(np.int64), widths[first].astype(np.int64)
    failed = ~fits.any(axis=1)
    height[failed], width[failed] = _largest_central(rows, cols)
    top, left = rng.integers(0, np.maximum(rows - height, 0) + 1), rng.integers(0, np.maximum(cols - width, 0) + 1)
    top[failed], left[failed] = (rows - height[failed]) // 2, (cols - width[failed]) // 2
    return np.stack([top, left, height, width], axis=1)


def _largest_central(rows: int, cols: int) -> tuple[int, int]:
    """(rows, cols) of the largest box whose aspect is within ASPECTS."""
    if cols / rows < ASPECTS[0]:
        return round(cols / ASPECTS[0]), cols
    if cols / rows > ASPECTS[1]:
        return rows, round(rows * ASPECTS[1])
    return rows, cols
