"""Copies of a film as archives hold them: compressed again, windowed otherwise, cropped, made smaller, shifted.

They are the positives of the calibration (``thresholds``): the same film, so to be found, and not the same pixels.
Strengths are drawn at random for each film.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Film = npt.NDArray[np.uint8 | np.uint16]
Rng = np.random.Generator


def compressed(film: Film, rng: Rng) -> Film:
    """As a JPEG of quality 25 to 90, which has 8 bits."""
    eight = film if film.dtype == np.uint8 else (film >> 8).astype(np.uint8)
    done, jpeg = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 91))])
    if not done:
        raise ValueError(f"cannot encode a film of shape {film.shape} as JPEG")
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE), np.uint8)


def windowed(film: Film, rng: Rng) -> Film:
    """Other ends of the window, up to 15 % inside the range or 10 % beyond it, and a gamma of 0.6 to 1.65."""
    top = np.iinfo(film.dtype).max
    low, high, gamma = rng.uniform(-0.1, 0.15), rng.uniform(0.85, 1.1), np.exp(rng.uniform(-0.5, 0.5))
    values = np.clip((film / top - low) / (high - low), 0, 1) ** gamma
    return np.rint(values * top).astype(film.dtype)


def cropped(film: Film, rng: Rng) -> Film:
    """Up to 5 % cut from each side."""
    rows, cols = film.shape
    top, bottom, left, right = rng.uniform(0, 0.05, 4)
    return film[int(top * rows) : rows - int(bottom * rows), int(left * cols) : cols - int(right * cols)]


def smaller(film: Film, rng: Rng) -> Film:
    """Half to nine tenths of the size."""
    scale = float(rng.uniform(0.5, 0.9))
    size = (max(1, round(film.shape[1] * scale)), max(1, round(film.shape[0] * scale)))
    return np.asarray(cv2.resize(film, size, interpolation=cv2.INTER_AREA), film.dtype)


def shifted(film: Film, rng: Rng) -> Film:
    """Moved by up to 4 % along each axis; what comes in is black."""
    down, right = rng.uniform(-0.04, 0.04, 2) * film.shape
    move = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return np.asarray(cv2.warpAffine(film, move, film.shape[::-1]), film.dtype)


def all_at_once(film: Film, rng: Rng) -> Film:
    """Cropped, made smaller, windowed and compressed, as a figure in a publication is."""
    return compressed(windowed(smaller(cropped(film, rng), rng), rng), rng)


RECODINGS: dict[str, Callable[[Film, Rng], Film]] = {
    "compressed": compressed,
    "windowed": windowed,
    "cropped": cropped,
    "smaller": smaller,
    "shifted": shifted,
    "all at once": all_at_once,
}
