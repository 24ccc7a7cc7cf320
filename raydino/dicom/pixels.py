"""THE ONE way from stored values to a film. Nothing else in raydino decides pixels.

Order (PS3.3 C.11): modality LUT or rescale → VOI LUT, window or percentiles → inversion once for
MONOCHROME1 or INVERSE → [0, 1] float32 → turn to the standard display → square pixels and area
resize → 8 or 16 bits. An image without a header takes the same way with nothing known of it. The
recipe stands in the dataset's header; an encoder remembers it and refuses films made by another.
Neighbours: ``decode`` (bit patterns), ``contrast`` (grey levels), ``orientation`` (turns).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from raydino.dicom.contrast import PERCENTILES, Contrast, Lut, Window, grey_table
from raydino.dicom.decode import bit_patterns
from raydino.dicom.header import FilmHeader, numbers, text, texts
from raydino.dicom.orientation import Turn, turn_to_standard
from raydino.dicom.screen import Rejected

RECIPE_VERSION = 1  # raise it with every change that changes a film
BLANK_RANGE = 0.02  # of the full scale, between the 1st and the 99th percentile
WIDEST_ASPECT = 4.0

Film = npt.NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True)
class PixelRecipe:
    """What a user may choose. ``shorter_side`` in pixels; a smaller film is never enlarged."""

    shorter_side: int = 512
    bits: int = 8

    def resolved(self) -> dict[str, Any]:
        """The whole recipe in plain JSON types, as it stands in the header's ``config["pixels"]``."""
        return {
            "version": RECIPE_VERSION,
            "shorter_side": self.shorter_side,
            "bits": self.bits,
            "enlarged": False,
            "resize": "area",
            "voi": ["first VOI LUT", "first usable window", "percentiles"],
            "percentiles": list(PERCENTILES),
            "inverted": "MONOCHROME1 or presentation LUT shape INVERSE",
            "orientation": "standard display",
            "square_pixels": True,
        }


@dataclass(frozen=True)
class Geometry:
    """How a source's pixel grid became the film's; masks follow it."""

    turn: Turn
    rows: int  # of the film
    cols: int

    def resize(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Turn and area-resize an image of the source's size."""
        turned = self.turn.apply(image)
        if turned.shape == (self.rows, self.cols):
            return turned
        return np.asarray(cv2.resize(turned, (self.cols, self.rows), interpolation=cv2.INTER_AREA), np.float32)

    def resize_mask(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """A film's pixel belongs to the mask where at least half of its area does."""
        return self.resize(mask.astype(np.float32)) >= 0.5


@dataclass(frozen=True)
class Rendered:
    """A film and how it was made. ``voi`` is lut, window or percentile; spacing between rows, in mm."""

    film: Film
    voi: str
    geometry: Geometry
    spacing_mm: float | None


def render_dicom(dataset: Dataset, header: FilmHeader, recipe: PixelRecipe) -> Rendered:
    """The film of a single-frame grayscale image. Raises Rejected."""
    patterns, bits = bit_patterns(dataset)
    turn = turn_to_standard(header.orientation)
    aspect = 1 / header.pixel_aspect if turn.transposed else header.pixel_aspect
    row_spacing = header.spacing_mm[int(turn.transposed)] if header.spacing_mm else None
    return _render(patterns, contrast_of(dataset, bits), turn, aspect, row_spacing, recipe)


def render_image(image: Film, contrast: Contrast, recipe: PixelRecipe, *, spacing_mm: float | None = None) -> Rendered:
    """The film of a grayscale image without a header, [rows, cols] of uint8 or uint16. Raises Rejected."""
    return _render(image, contrast, Turn(), 1.0, spacing_mm, recipe)


def _render(
    patterns: Film, contrast: Contrast, turn: Turn, aspect: float, spacing_mm: float | None, recipe: PixelRecipe
) -> Rendered:
    histogram = np.bincount(patterns.ravel(), minlength=2**contrast.bits)
    table, voi = grey_table(contrast, histogram)
    rows, cols = patterns.shape[::-1] if turn.transposed else patterns.shape
    geometry = Geometry(turn, *film_size(rows, cols, aspect, recipe.shorter_side))
    grey = geometry.resize(table[patterns])
    film = _quantised(grey, recipe.bits)
    if _is_blank(film):
        raise Rejected("blank", f"one shade after contrast by {voi}")
    return Rendered(film, voi, geometry, None if spacing_mm is None else spacing_mm * rows / geometry.rows)


def film_size(rows: int, cols: int, aspect: float, shorter_side: int) -> tuple[int, int]:
    """Rows and columns of the film: square pixels, shorter side at most ``shorter_side``.

    ``aspect`` is a source pixel's height over its width. Pixels are made square by shrinking the
    finer direction, so nothing is ever enlarged. Raises Rejected on an implausible aspect.
    """
    if not 1 / WIDEST_ASPECT <= aspect <= WIDEST_ASPECT:
        raise Rejected("unsupported_pixels", f"a pixel is said to be {aspect:.3g} times as high as wide")
    height, width = rows * min(aspect, 1.0), cols / max(aspect, 1.0)
    scale = min(1.0, shorter_side / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _quantised(grey: npt.NDArray[np.float32], bits: int) -> Film:
    top = 2**bits - 1
    return np.rint(np.clip(grey, 0.0, 1.0) * top).astype(np.uint8 if bits == 8 else np.uint16)


def _is_blank(film: Film) -> bool:
    counts = np.cumsum(np.bincount(film.ravel()))
    low, high = np.searchsorted(counts, counts[-1] * np.array([0.01, 0.99]))
    return bool((high - low) < BLANK_RANGE * np.iinfo(film.dtype).max)


def contrast_of(dataset: Dataset, bits: int) -> Contrast:
    """What the header says of grey levels, for bit patterns of ``bits`` bits."""
    signed = text(dataset, "PixelRepresentation") == "1"
    slope = next(iter(numbers(dataset, "RescaleSlope")), 1.0)
    monochrome1 = text(dataset, "PhotometricInterpretation").upper() == "MONOCHROME1"
    return Contrast(
        bits=bits,
        signed=signed,
        modality_lut=_first_lut(dataset, "ModalityLUTSequence"),
        slope=slope if slope != 0 else 1.0,  # a slope of 0 would leave no image
        intercept=next(iter(numbers(dataset, "RescaleIntercept")), 0.0),
        voi_lut=_first_lut(dataset, "VOILUTSequence"),
        windows=_windows(dataset),
        inverted=monochrome1 or text(dataset, "PresentationLUTShape").upper() == "INVERSE",
        padding=_padding(dataset, bits, signed),
    )


def _windows(dataset: Dataset) -> tuple[Window, ...]:
    function = text(dataset, "VOILUTFunction").upper() or "LINEAR"
    pairs = zip(numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth"), strict=False)
    return tuple(Window(center, width, function) for center, width in pairs)


def _first_lut(dataset: Dataset, keyword: str) -> Lut | None:
    """The first usable item of a LUT sequence; LUT data may be words or packed bytes (C.11.1.1.1)."""
    try:
        items = list(dataset.get(keyword) or [])
    except Exception:
        return None
    for item in items:
        try:
            entries, first, bits = (int(value) for value in texts(item, "LUTDescriptor"))
            raw = item.LUTData
        except Exception:
            continue
        entries = entries % 2**16 or 2**16
        if isinstance(raw, bytes):
            kind = "<u2" if len(raw) >= 2 * entries else "u1"
            data = np.frombuffer(raw, kind, count=min(entries, len(raw) // np.dtype(kind).itemsize)).astype(np.int64)
        else:
            data = np.atleast_1d(np.asarray(raw, np.int64))[:entries] % 2**16
        if len(data):
            return Lut(first, data, max(bits, int(data.max()).bit_length(), 1))
    return None


def _padding(dataset: Dataset, bits: int, signed: bool) -> tuple[int, int] | None:
    value = numbers(dataset, "PixelPaddingValue")
    if not value:
        return None
    limit = numbers(dataset, "PixelPaddingRangeLimit") or value
    ends = [int(v) - (2**16 if signed and v >= 2 ** (bits - 1) else 0) for v in (value[0], limit[0])]
    return min(ends), max(ends)
