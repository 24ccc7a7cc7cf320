"""One DICOM file → the film that ingest would have made of it, for an encoder that is at work already.

The way is that of ingest (``dicom.film``): the same screening, the same pixel recipe, so the same pixels to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raydino.artifacts.images import decode_png
from raydino.data.films import whole_film
from raydino.dicom.film import Work, read_film
from raydino.dicom.pixels import PixelRecipe
from raydino.dicom.screen import Screening
from raydino.errors import UserError
from raydino.readers.base import SourceImage


@dataclass(frozen=True)
class OneFilm:
    """``pixels`` [rows, cols] uint8 or uint16, and the side of a pixel in mm, None where the file does not tell it."""

    pixels: npt.NDArray[np.uint8 | np.uint16]
    spacing_mm: float | None

    def view(self, side: int) -> Tensor:
        """The whole film as an encoder takes it: float32 [1, 1, side, side] in 0..1."""
        return torch.from_numpy(whole_film(self.pixels, side))[None]


def film_of_dicom(source: str | Path | bytes, pixels: Mapping[str, Any], screening: Screening | None = None) -> OneFilm:
    """Read ``source``, a path or a file's content, by the pixel recipe ``pixels`` (``EncoderSpec.pixels``).

    Raises UserError where ingest would have rejected the file, and where this version of raydino does not make films by
    that recipe. An empty recipe, of an encoder from elsewhere, is taken as our own.
    """
    recipe = PixelRecipe(int(pixels["shorter_side"]), int(pixels["bits"])) if pixels else PixelRecipe()
    if pixels and recipe.resolved() != dict(pixels):
        differing = ", ".join(sorted(k for k, v in recipe.resolved().items() if pixels.get(k) != v))
        raise UserError(
            f"the encoder was trained on films made by another pixel recipe ({differing})",
            remedy="use the version of raydino that made its dataset",
        )
    where = "the file's content" if isinstance(source, bytes) else source
    if isinstance(source, bytes):
        image = SourceImage("film", content=source)
    elif Path(source).is_file():
        image = SourceImage("film", path=Path(source))
    else:
        raise UserError("no such file", where=source)
    reading = read_film(Work(recipe, screening=screening or Screening(), identify=False), image)
    if reading.film is None:
        reason = " ".join(str(part) for part in (reading.reason, reading.detail and f"({reading.detail})") if part)
        raise UserError(f"not a film that ingest would take: {reason}", where=where)
    return OneFilm(decode_png(reading.film.png, where=where), reading.film.spacing_mm)
