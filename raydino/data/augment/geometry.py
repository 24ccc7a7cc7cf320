"""Crops of a film: at a fixed scale, or at a random scale and aspect, resized to a square."""

from __future__ import annotations

import math

import cv2
import numpy as np

from raydino.data.augment import Image


def resize_shorter_side(image: Image, side: int) -> Image:
    """[1, H, W] → the shorter side is ``side`` pixels, the aspect stays."""
    rows, cols = image.shape[1:]
    scale = side / min(rows, cols)
    size = (max(side, round(cols * scale)), max(side, round(rows * scale)))
    return cv2.resize(image[0], size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)[None]


def random_crop(image: Image, size: int, rng: np.random.Generator) -> Image:
    """A square of ``size`` pixels at a random place, not resized."""
    rows, cols = image.shape[1:]
    top, left = int(rng.integers(rows - size + 1)), int(rng.integers(cols - size + 1))
    return image[:, top : top + size, left : left + size]


def random_resized_crop(image: Image, size: int, scale: tuple[float, float], rng: np.random.Generator) -> Image:
    """A box of a random share of the area and an aspect in 3/4..4/3, resized to [1, size, size].

    Bicubic as in DINOv2 when it enlarges, by area when it shrinks (cv2's bicubic would alias).
    """
    rows, cols = image.shape[1:]
    for _ in range(10):
        area = rows * cols * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        height, width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < height <= rows and 0 < width <= cols:
            break
    else:
        height = width = min(rows, cols)
    top, left = int(rng.integers(rows - height + 1)), int(rng.integers(cols - width + 1))
    box = np.ascontiguousarray(image[0, top : top + height, left : left + width])
    shrinks = height > size and width > size
    resized = cv2.resize(box, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.clip(resized, 0.0, 1.0, dtype=np.float32)[None]
