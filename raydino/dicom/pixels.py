"""THE ONE way from stored values to a film. Nothing else in raydino decides pixels.

Order (PS3.3 C.11): modality LUT or rescale → VOI LUT, window or percentiles → inversion once for
MONOCHROME1 or INVERSE → [0, 1] float32 → square pixels and area resize → turn to the standard display
→ 8 or 16 bits. Colour that is grey in effect is shown as stored. An image without a header takes the
same way with nothing known of it. The recipe stands in the dataset's header; an encoder remembers it
and refuses films made by another. Neighbours, in order: ``decode``, ``stored``, ``presentation`` and
``contrast``, ``colour``, ``collimation``, ``area``, ``orientation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from raydino.dicom.area import resize_area
from raydino.dicom.collimation import field_without_borders, header_field
from raydino.dicom.colour import has_supplement, one_channel, palette_grey, supplement
from raydino.dicom.contrast import PERCENTILES, Contrast, Voi, choose_voi, grey_table
from raydino.dicom.decode import DecodedFrame, decode_frame
from raydino.dicom.header import FilmHeader
from raydino.dicom.orientation import Turn, turn_to_standard
from raydino.dicom.presentation import contrast_of
from raydino.dicom.screen import Rejected
from raydino.dicom.stored import StoredFrame, look_up

RECIPE_VERSION = 2  # raise it with every change that changes a film
BLANK_RANGE = 0.02  # of the full scale, between the 1st and the 99th percentile
WIDEST_ASPECT = 4.0

Film = npt.NDArray[np.uint8 | np.uint16]
GreyTable = npt.NDArray[np.float32]


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
            "percentiles_of": "pixels that are not padding, in shutter and collimator, or between bare borders",
            "colour": "shown as stored where it is grey in effect",
            "frame": "first",
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

    @property
    def before_turn(self) -> tuple[int, int]:
        """Rows and columns of the film as it lies in the source."""
        return (self.cols, self.rows) if self.turn.transposed else (self.rows, self.cols)

    def resize_mask(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Turn and resize; a film's pixel belongs to the mask where at least half of its area does."""
        shares = resize_area(mask, *self.before_turn, lambda band: band.astype(np.float32))
        return self.turn.apply(shares) >= 0.5 - 1e-6  # shares add up to 1 within float32

    def mask_in_source(self, mask: npt.NDArray[np.bool_], rows: int, cols: int) -> npt.NDArray[np.bool_]:
        """A mask of the film's size on the source's grid [rows, cols]; the inverse of ``resize_mask``.

        A source pixel gets the value of the film's pixel in which its centre lies.
        """
        lying = self.turn.undo(mask)
        row, col = (
            ((np.arange(there) + 0.5) * (here / there)).astype(np.int64)
            for here, there in zip(lying.shape, (rows, cols), strict=True)
        )
        return np.take(np.take(lying, col, axis=1), row, axis=0)  # whole rows last: a seventh of np.ix_'s time


@dataclass(frozen=True)
class Rendered:
    """A film and how it was made. ``voi`` is lut, window, percentile or none; spacing between rows, in mm."""

    film: Film
    voi: str
    geometry: Geometry
    spacing_mm: float | None
    detail: str | None = None  # what was out of the ordinary, for the manifest


def render_dicom(dataset: Dataset, header: FilmHeader, recipe: PixelRecipe, frame: int = 0) -> Rendered:
    """The film of one frame, counted from 0. Raises Rejected."""
    if not 0 <= frame < header.frames:
        raise Rejected("unsupported_pixels", f"no frame {frame + 1} among {header.frames}")
    if header.photometric == "OTHER":
        raise Rejected("unsupported_pixels", "a photometric interpretation that the standard does not know")
    decoded = decode_frame(dataset, frame)
    turn = turn_to_standard(header.orientation)
    aspect = 1 / header.pixel_aspect if turn.transposed else header.pixel_aspect
    row_spacing = header.spacing_mm[int(turn.transposed)] if header.spacing_mm else None
    notes = [f"frame {frame + 1} of {header.frames}"] if header.frames > 1 else []
    stored, table, voi = _grey(dataset, header, decoded)
    rendered = _render(stored, table, voi, turn, aspect, row_spacing, recipe)
    notes += filter(None, (voi.describe(), turn.describe()))
    return Rendered(rendered.film, rendered.voi, rendered.geometry, rendered.spacing_mm, "; ".join(notes) or None)


def render_image(image: Film, contrast: Contrast, recipe: PixelRecipe, *, spacing_mm: float | None = None) -> Rendered:
    """The film of a grayscale image without a header, [rows, cols] of uint8 or uint16. Raises Rejected."""
    stored = StoredFrame.of(image, contrast.bits, signed=contrast.signed)
    voi = choose_voi(contrast)
    table = grey_table(contrast, stored.values, voi, _counts_in_field(stored, None, voi))
    return _render(stored, table, voi, Turn(), 1.0, spacing_mm, recipe)


def _grey(dataset: Dataset, header: FilmHeader, decoded: DecodedFrame) -> tuple[StoredFrame, GreyTable, Voi]:
    """The frame, the grey level of each of its stored values, and what gave the contrast."""
    if decoded.words.ndim == 3:
        top = 2**decoded.bits - 1
        stored = StoredFrame.of(one_channel(decoded.words, top), decoded.bits)
        return stored, (stored.values / top).astype(np.float32), Voi("none")
    contrast = contrast_of(dataset, decoded.bits)
    stored = StoredFrame.of(decoded.words, decoded.bits, signed=contrast.signed, shift=decoded.shift)
    if header.photometric == "PALETTE COLOR":
        return stored, palette_grey(dataset, stored.values, stored.counts()), Voi("none")
    if not header.photometric.startswith("MONOCHROME"):
        raise Rejected("unsupported_pixels", f"photometric interpretation {header.photometric} of one sample")
    voi = choose_voi(contrast)
    table = grey_table(contrast, stored.values, voi, _counts_in_field(stored, (dataset, header), voi))
    if has_supplement(dataset):
        table = supplement(dataset, table, stored.values, stored.counts())
    return stored, table, voi


def _counts_in_field(
    stored: StoredFrame, source: tuple[Dataset, FilmHeader] | None, voi: Voi
) -> npt.NDArray[np.int64] | None:
    """What percentiles are taken from; None where nothing asks for them."""
    if voi.kind != "percentile":
        return None
    field = None
    if source is not None:
        dataset, header = source
        field = header_field(dataset, stored.size, header.pixel_aspect)
    return stored.counts(field_without_borders(stored) if field is None else field)


def _render(
    stored: StoredFrame,
    table: GreyTable,
    voi: Voi,
    turn: Turn,
    aspect: float,
    spacing_mm: float | None,
    recipe: PixelRecipe,
) -> Rendered:
    rows, cols = stored.words.shape[::-1] if turn.transposed else stored.words.shape
    geometry = Geometry(turn, *film_size(rows, cols, aspect, recipe.shorter_side))
    as_grey = partial(look_up, table=stored.over_words(table))
    grey = turn.apply(resize_area(stored.words, *geometry.before_turn, as_grey))
    film = _quantised(grey, recipe.bits)
    if _is_blank(film):
        raise Rejected("blank", f"one shade after contrast by {voi.kind}")
    return Rendered(film, voi.kind, geometry, None if spacing_mm is None else spacing_mm * rows / geometry.rows)


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
    """Rounded half to even and clipped, in one pass over the film."""
    depth = cv2.CV_8U if bits == 8 else cv2.CV_16U
    return np.asarray(cv2.multiply(grey, float(2**bits - 1), dtype=depth))  # type: ignore[call-overload]


def _is_blank(film: Film) -> bool:
    levels = 2 ** (8 * film.dtype.itemsize)
    counts = np.cumsum(cv2.calcHist([film], [0], None, [levels], [0, levels]).astype(np.int64))
    low, high = np.searchsorted(counts, counts[-1] * np.array([0.01, 0.99]))
    return bool((high - low) < BLANK_RANGE * (levels - 1))
