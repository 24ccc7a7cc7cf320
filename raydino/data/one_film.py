"""One DICOM file → the film that ingest would have made of it, for an encoder that is at work already.

The way is that of ingest (``dicom.film``): the same screening, the same pixel recipe, so the same pixels to the bit.
"""

from __future__ import annotations

import warnings
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
from raydino.dicom.screen import REASONS, Screening
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
    return _made(source, _recipe_of(pixels), screening or Screening())


def film_to_show(source: str | Path | bytes, shorter_side: int, pixels: Mapping[str, Any]) -> OneFilm:
    """The film as a person looks at it: uint16, its shorter side at most ``shorter_side`` pixels.

    Screened as ``film_of_dicom`` does it by ``pixels``, also for the size of the source, of which larger films would
    ask more. Raises UserError as it does.
    """
    smallest = Work(_recipe_of(pixels)).smallest_side
    return _made(source, PixelRecipe(shorter_side, bits=16), Screening(smallest_side=smallest))


def _made(source: str | Path | bytes, recipe: PixelRecipe, screening: Screening) -> OneFilm:
    if isinstance(source, bytes):
        image, where = SourceImage("film", content=source), "the file's content"
    elif Path(source).is_file():
        image, where = SourceImage("film", path=Path(source)), str(source)
    else:
        raise UserError("no such file", where=source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote header values
        reading = read_film(Work(recipe, screening=screening, identify=False), image)
    if reading.film is None:
        detail = f" ({reading.detail})" if reading.detail else ""
        raise UserError(f"ingest would not take it: {REASONS[str(reading.reason)]}{detail}", where=where)
    return OneFilm(decode_png(reading.film.png, where=where), reading.film.spacing_mm)


def _recipe_of(pixels: Mapping[str, Any]) -> PixelRecipe:
    """Raises UserError where this version of raydino makes other films by it."""
    ours = PixelRecipe()
    asked = PixelRecipe(pixels.get("shorter_side", ours.shorter_side), pixels.get("bits", ours.bits))
    resolved = asked.resolved()
    if pixels and resolved != dict(pixels):
        keys = sorted(key for key in resolved.keys() | pixels.keys() if pixels.get(key) != resolved.get(key))
        raise UserError(
            f"the encoder was trained on films made by another pixel recipe ({', '.join(keys)})",
            remedy="use the version of raydino that made its dataset",
        )
    return asked
