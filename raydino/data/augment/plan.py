"""What is random about the views of one film, decided before a pixel is touched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

N_GLOBALS = 2  # DINOv2's number: the two views whose class tokens are matched

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


class Tones(NamedTuple):
    """The photometric draw of V views; each array is [V]."""

    brightness: Floats  # factor, 1 changes nothing
    contrast: Floats  # factor about the view's mean, 1 changes nothing
    contrast_first: Flags  # before brightness
    blur_sigma: Floats  # pixels of the view, 0 blurs nothing
    solarized: Flags

    def repeated(self, n: int) -> Tones:
        """The draw of one view for ``n`` views."""
        return Tones(
            self.brightness.repeat(n),
            self.contrast.repeat(n),
            self.contrast_first.repeat(n),
            self.blur_sigma.repeat(n),
            self.solarized.repeat(n),
        )


class Plan(NamedTuple):
    """The V views of a film, global ones first.

    The film is resized to ``film_shape`` (rows, cols) where that differs from its own, then the boxes
    [V, 4] (top, left, rows, cols) are cut out and brought to the views' size where theirs differs.
    """

    film_shape: tuple[int, int]
    boxes: Ints
    flipped: Flags | None = None  # [V], left and right exchanged
    tones: Tones | None = None
