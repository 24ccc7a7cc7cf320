"""Secondary captures that are grey in effect, and colour that is not."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from raydino.dicom.colour import GREY_TOLERANCE, one_channel
from raydino.dicom.header import read_film_header
from raydino.dicom.pixels import PixelRecipe, Rendered, render_dicom
from raydino.dicom.screen import Rejected

CHANNELS = ("Red", "Green", "Blue")
Ints = npt.NDArray[np.int64]


def render(dataset: Dataset) -> Rendered:
    return render_dicom(dataset, read_film_header(dataset), PixelRecipe(4096, 16))


def as_colour(dataset: Dataset, pixels: Ints, photometric: str, planar: int = 0, bits: int = 8) -> Dataset:
    """``pixels`` [rows, cols, 3] as the film of ``dataset``."""
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.PhotometricInterpretation = 3, planar, photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    ordered = pixels.transpose(2, 0, 1) if planar else pixels
    dataset.PixelData = ordered.astype(f"<u{bits // 8}").tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    return dataset


def with_palette(dataset: Dataset, palette: Ints, first: int, bits: int, *, packed: bool = False) -> Dataset:
    """``palette`` [entries, 3] as words, or ``packed`` into bytes."""
    for channel, entries in zip(CHANNELS, palette.T, strict=True):
        dataset.add_new(f"{channel}PaletteColorLookupTableDescriptor", "US", [len(entries) % 65536, first, bits])
        data = entries.astype("u1" if packed else "<u2").tobytes()
        dataset.add_new(f"{channel}PaletteColorLookupTableData", "OW", data)
    return dataset


@pytest.mark.parametrize(
    ("syntax", "planar"), [(None, 0), (None, 1), (RLELossless, 0), (JPEGLSLossless, 0), (JPEG2000Lossless, 0)]
)
@pytest.mark.parametrize("bits", [8, 16])
def test_grey_rgb_is_shown_as_stored(make_dataset: Any, ramp: Any, bits: int, planar: int, syntax: str | None) -> None:
    stored = ramp(64, 48, 2**bits - 1)
    dataset = as_colour(make_dataset(ramp(64, 48)), np.dstack([stored] * 3), "RGB", planar, bits)
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
    rendered = render(dataset)
    assert rendered.voi == "none"  # the window in the header has no meaning for colour
    np.testing.assert_allclose(rendered.film, stored / (2**bits - 1) * 65535, atol=1.0)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_grey_ybr(make_dataset: Any, ramp: Any, photometric: str) -> None:
    luma = ramp()
    neutral = np.full_like(luma, 128)
    dataset = as_colour(make_dataset(ramp()), np.dstack([luma, neutral, neutral]), photometric)
    if photometric == "YBR_FULL_422":  # Y1 Y2 Cb Cr for each two pixels (PS3.3 C.7.6.3.1.2)
        pairs = luma.reshape(-1, 2)
        words = np.column_stack([pairs[:, 0], pairs[:, 1], np.full(len(pairs), 128), np.full(len(pairs), 128)])
        dataset.PixelData = words.astype(np.uint8).tobytes()
    rendered = render(dataset)
    np.testing.assert_allclose(rendered.film, luma / 255 * 65535, atol=1.0)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colour_is_rejected(make_dataset: Any, ramp: Any, photometric: str) -> None:
    pixels = (
        np.dstack([ramp()] * 3) if photometric == "RGB" else np.dstack([ramp(), ramp() * 0 + 128, ramp() * 0 + 128])
    )
    pixels[3, 4] = [200, 90, 30]
    with pytest.raises(Rejected, match="unsupported_pixels.*colour"):
        render(as_colour(make_dataset(ramp()), pixels, photometric))


def test_the_tolerance() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    grey[0, 0] = [100, 102, 104]
    assert one_channel(grey, 255)[0, 0] == 102
    grey[0, 0, 2] = 100 + round(GREY_TOLERANCE * 255) + 1
    with pytest.raises(Rejected):
        one_channel(grey, 255)


@pytest.mark.parametrize("pixel_bits", [8, 16])
@pytest.mark.parametrize(("entry_bits", "packed"), [(8, True), (8, False), (16, False)])
@pytest.mark.parametrize("first", [0, 20])
def test_grey_palette(make_dataset: Any, ramp: Any, first: int, entry_bits: int, packed: bool, pixel_bits: int) -> None:
    entries = np.linspace(2**entry_bits - 1, 0, 200).round().astype(np.int64)  # falling: inverts
    stored = ramp(top=250)  # inputs beyond both ends take the first or last entry
    dataset = make_dataset(stored, pixel_bits, PhotometricInterpretation="PALETTE COLOR")
    rendered = render(with_palette(dataset, np.column_stack([entries] * 3), first, entry_bits, packed=packed))
    assert rendered.voi == "none"
    expected = entries[np.clip(stored - first, 0, 199)] / (2**entry_bits - 1) * 65535
    np.testing.assert_allclose(rendered.film, expected, atol=1.0)


def test_segmented_palette(make_dataset: Any, ramp: Any) -> None:
    """C.7.9.2: a discrete segment of two entries, then a linear one of 254 up to 65535."""
    dataset = make_dataset(ramp(), PhotometricInterpretation="PALETTE COLOR")
    segments = struct.pack("<7H", 0, 2, 0, 1000, 1, 254, 65535)
    for channel in CHANNELS:
        dataset.add_new(f"{channel}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        dataset.add_new(f"Segmented{channel}PaletteColorLookupTableData", "OW", segments)
    entries = np.concatenate([[0, 1000], 1000 + (65535 - 1000) * np.arange(1, 255) / 254])
    np.testing.assert_allclose(render(dataset).film, entries[ramp()], atol=1.5)


def test_only_entries_that_the_film_has_must_be_grey(make_dataset: Any, ramp: Any) -> None:
    palette = np.column_stack([np.arange(256)] * 3)
    palette[255] = [255, 0, 0]
    dataset = make_dataset(ramp(top=254), PhotometricInterpretation="PALETTE COLOR")
    np.testing.assert_allclose(render(with_palette(dataset, palette, 0, 8)).film, ramp(top=254) / 255 * 65535, atol=1.0)
    coloured = make_dataset(ramp(top=255), PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(Rejected, match="unsupported_pixels.*colour"):
        render(with_palette(coloured, palette, 0, 8))


def test_a_supplemental_palette_takes_over_from_its_first_input(make_dataset: Any, ramp: Any) -> None:
    stored = ramp(top=255)
    plain = make_dataset(stored, WindowCenter="100", WindowWidth="200")
    below = render(plain).film
    palette = np.column_stack([np.linspace(65535, 0, 56).round()] * 3).astype(np.int64)
    dataset = with_palette(make_dataset(stored, WindowCenter="100", WindowWidth="200"), palette, 200, 16)
    dataset.PixelPresentation = "COLOR"
    expected = np.where(stored >= 200, palette[np.clip(stored - 200, 0, 55), 0], below)
    rendered = render(dataset)
    assert rendered.voi == "window"
    np.testing.assert_allclose(rendered.film, expected, atol=1.0)
    dataset.RedPaletteColorLookupTableData = bytes(112)
    with pytest.raises(Rejected, match="unsupported_pixels.*colour"):
        render(dataset)


@pytest.mark.parametrize("what", ["nothing", "descriptor", "one channel"])
def test_a_broken_palette(make_dataset: Any, ramp: Any, what: str) -> None:
    dataset = make_dataset(ramp(), PhotometricInterpretation="PALETTE COLOR")
    if what != "nothing":
        with_palette(dataset, np.column_stack([np.arange(256)] * 3), 0, 8)
    if what == "descriptor":
        dataset.GreenPaletteColorLookupTableDescriptor = [0, 0]
    if what == "one channel":
        del dataset.BluePaletteColorLookupTableData
    with pytest.raises(Rejected, match="unsupported_pixels.*palette"):
        render(dataset)


def test_an_unknown_photometric_interpretation(make_dataset: Any, ramp: Any) -> None:
    with pytest.raises(Rejected, match="unsupported_pixels.*photometric"):
        render(make_dataset(ramp(), PhotometricInterpretation="SEPIA"))
