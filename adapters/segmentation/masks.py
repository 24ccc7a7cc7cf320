"""What is said of masks, and how a film's own mask comes of it. Light to import: losses and figures stand elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor


class Masks(NamedTuple):
    """What is said of B films, each [B, S, mask_size, mask_size] over the whole film squeezed to a square."""

    logits: Tensor  # f32, any real
    probability: Tensor  # f32, 0..1
    decision: Tensor  # bool: probability at or above the structure's threshold


def decided(probability: npt.NDArray[np.float32], threshold: float, rows: int, cols: int) -> npt.NDArray[np.bool_]:
    """The decision at a film's size [rows, cols] from the probability [side, side] of the film squeezed to a square."""
    resized = cv2.resize(probability, (cols, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized >= threshold)
