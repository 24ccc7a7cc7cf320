"""Secondary captures in colour that are grey in effect → grey levels in [0, 1]; real colour is rejected.

RGB (YBR was converted by the decoder), palettes (PS3.3 C.7.6.3.1.5, C.7.9) and supplemental palettes
(C.7.6.19). A VOI has no meaning for colour (C.11.2), so what is stored is shown. Neighbour: ``pixels``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from raydino.dicom.contrast import Floats, Lut, apply_lut
from raydino.dicom.header import text, texts
from raydino.dicom.presentation import is_big_endian, read_lut
from raydino.dicom.screen import Rejected

# Channels may differ by as much of the full scale: a step of one in the chroma of a lossy grey image
# moves red, green and blue apart by 3 of 255.
GREY_TOLERANCE = 4 / 255
_CHANNELS = ("Red", "Green", "Blue")


def one_channel(pixels: npt.NDArray[Any], top: int) -> npt.NDArray[Any]:
    """[rows, cols] of [rows, cols, 3 or more] values of 0..top: green, where all three are as good as equal."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    if spread.max(initial=0) > GREY_TOLERANCE * top:
        raise Rejected("unsupported_pixels", "colour")
    return np.ascontiguousarray(green)


def palette_grey(dataset: Dataset, stored: Floats, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The grey level of each stored value through the palette. Only values that the film has must be grey."""
    return _grey(_palette(dataset), stored, counts)


def supplement(
    dataset: Dataset, table: npt.NDArray[np.float32], stored: Floats, counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """``table`` with the grey of a supplemental palette from its first input upwards."""
    palette = _palette(dataset)
    above = stored >= palette[0].first
    grey = _grey(palette, stored, np.where(above, counts, 0))
    return np.where(above, grey, table)


def has_supplement(dataset: Dataset) -> bool:
    """Whether the upper stored values of a grayscale image stand for colours."""
    shown = text(dataset, "PixelPresentation").upper() in ("COLOR", "MIXED")
    return shown and "RedPaletteColorLookupTableDescriptor" in dataset


def _grey(palette: tuple[Lut, Lut, Lut], stored: Floats, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    levels = np.stack([apply_lut(stored, lut) / (2**lut.bits - 1) for lut in palette])
    if (np.ptp(levels, axis=0)[counts > 0] > GREY_TOLERANCE).any():
        raise Rejected("unsupported_pixels", "colour")
    return levels[1].astype(np.float32)


def _palette(dataset: Dataset) -> tuple[Lut, Lut, Lut]:
    """Red, green and blue. All have one bit depth, so that equal entries are grey. Raises Rejected."""
    try:
        luts = _segmented(dataset) if "SegmentedRedPaletteColorLookupTableData" in dataset else _plain(dataset)
        red, green, blue = (lut for lut in luts if lut is not None)
    except Exception:  # pydicom, on a palette that is broken in any way; also fewer than three
        raise Rejected("unsupported_pixels", "a palette that cannot be read") from None
    bits = max(red.bits, green.bits, blue.bits)
    return Lut(red.first, red.data, bits), Lut(green.first, green.data, bits), Lut(blue.first, blue.data, bits)


def _plain(dataset: Dataset) -> list[Lut | None]:
    return [
        read_lut(
            texts(dataset, f"{channel}PaletteColorLookupTableDescriptor"),
            dataset[f"{channel}PaletteColorLookupTableData"].value,
            big_endian=is_big_endian(dataset),
        )
        for channel in _CHANNELS
    ]


def _segmented(dataset: Dataset) -> list[Lut | None]:
    """pydicom expands the segments (C.7.9.2)."""
    entries, first, bits = (int(value) for value in texts(dataset, "RedPaletteColorLookupTableDescriptor"))
    inputs = np.arange(entries or 2**16, dtype=np.int32) + first
    colours = apply_color_lut(inputs, dataset).astype(np.int64)
    return [Lut(first, colours[:, channel], bits) for channel in range(3)]
