"""Golden pixels. The references are plain float64 loops over pixels, from the formulas of PS3.3 C.11."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from raydino.dicom.contrast import Contrast
from raydino.dicom.header import read_film_header
from raydino.dicom.pixels import PixelRecipe, film_size, render_dicom, render_image
from raydino.dicom.screen import Rejected

WHOLE = PixelRecipe(shorter_side=4096, bits=16)


def render(dataset: Dataset, recipe: PixelRecipe = WHOLE) -> Any:
    return render_dicom(dataset, read_film_header(dataset), recipe)


def lut_item(first: int, entries: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    return item


def reference_lut(x: float, first: int, entries: list[int]) -> float:
    if x <= first:
        return entries[0]
    if x >= first + len(entries) - 1:
        return entries[-1]
    return entries[round(x) - first]


def reference_window(x: float, center: float, width: float, function: str) -> float:
    if function == "LINEAR":  # C.11.2.1.2.1, y from 0 to 1
        if x <= center - 0.5 - (width - 1) / 2:
            return 0.0
        if x > center - 0.5 + (width - 1) / 2:
            return 1.0
        return (x - (center - 0.5)) / (width - 1) + 0.5
    if function == "LINEAR_EXACT":  # C.11.2.1.3.2
        if x <= center - width / 2:
            return 0.0
        if x > center + width / 2:
            return 1.0
        return (x - center) / width + 0.5
    return 1 / (1 + math.exp(-4 * (x - center) / width))  # SIGMOID, C.11.2.1.3.1


def reference_percentile(values: list[float], percent: float) -> float:
    """The smallest value that at least ``percent`` per cent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def grid(stored: np.ndarray, grey: Any, *, inverted: bool) -> np.ndarray:
    out = np.zeros(stored.shape, np.float64)
    for r, c in itertools.product(*map(range, stored.shape)):
        y = min(max(grey(float(stored[r, c])), 0.0), 1.0)
        out[r, c] = 1.0 - y if inverted else y
    return out * 65535


@pytest.mark.parametrize("inversion", ["none", "mono1", "inverse", "mono1+inverse"])
@pytest.mark.parametrize("voi", ["lut", "LINEAR", "LINEAR_EXACT", "SIGMOID", "none"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_golden(make_dataset: Any, ramp: Any, bits: int, signed: bool, voi: str, inversion: str) -> None:
    top = 2**bits - 1
    lowest = -(2 ** (bits - 1)) if signed else 0
    stored = ramp(top=top) + lowest
    slope, intercept = 0.5, 7.0
    x = [float(v) * slope + intercept for v in stored.ravel()]
    center, width = lowest * slope + 0.21 * top, 0.33 * top
    attributes: dict[str, Any] = {"RescaleSlope": "0.5", "RescaleIntercept": "7"}
    attributes |= {"WindowCenter": None, "WindowWidth": None}
    if inversion.startswith("mono1"):
        attributes["PhotometricInterpretation"] = "MONOCHROME1"
    if inversion.endswith("inverse"):
        attributes["PresentationLUTShape"] = "INVERSE"
    if voi == "lut":
        first = round(min(x)) + 3
        n = top // 4  # half of the range of x, so both ends are clamped
        entries = [min(4095, round(4095 * (i / n) ** 0.7)) for i in range(n + 1)]
        attributes["VOILUTSequence"] = Sequence([lut_item(first, entries, 12)])

        def grey(v: float) -> float:
            return reference_lut(v * slope + intercept, first, entries) / 4095
    elif voi == "none":
        low, high = reference_percentile(x, 0.5), reference_percentile(x, 99.5)

        def grey(v: float) -> float:
            return (v * slope + intercept - low) / (high - low)
    else:
        attributes |= {"WindowCenter": f"{center:.4f}", "WindowWidth": f"{width:.4f}", "VOILUTFunction": voi}

        def grey(v: float) -> float:
            return reference_window(v * slope + intercept, float(f"{center:.4f}"), float(f"{width:.4f}"), voi)

    rendered = render(make_dataset(stored, bits, **attributes))
    assert rendered.voi == {"lut": "lut", "none": "percentile"}.get(voi, "window")
    assert rendered.film.dtype == np.uint16
    expected = grid(stored, grey, inverted=inversion != "none")  # both together invert once
    np.testing.assert_allclose(rendered.film, expected, atol=1.0)


def test_modality_lut_goes_before_a_rescale_and_feeds_the_window(make_dataset: Any, ramp: Any) -> None:
    stored = ramp()
    entries = [round(1000 * (i / 255) ** 2) for i in range(256)]
    item = lut_item(0, entries, 10)
    dataset = make_dataset(
        stored, ModalityLUTSequence=Sequence([item]), RescaleSlope="3", WindowCenter="500", WindowWidth="800"
    )
    expected = grid(stored, lambda v: reference_window(entries[int(v)], 500, 800, "LINEAR"), inverted=False)
    np.testing.assert_allclose(render(dataset).film, expected, atol=1.0)


def test_a_lut_of_8_bit_entries_packed_into_words(make_dataset: Any, ramp: Any) -> None:
    entries = [255 - i for i in range(256)]
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [256, 0, 8])
    item.add_new("LUTData", "OW", bytes(entries))
    rendered = render(make_dataset(ramp(), VOILUTSequence=Sequence([item])))
    np.testing.assert_allclose(rendered.film, (255 - ramp()) / 255 * 65535, atol=1.0)


def test_a_signed_first_entry_that_was_written_as_unsigned(make_dataset: Any, ramp: Any) -> None:
    stored = ramp(top=200) - 100
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [201, 65536 - 100, 8])
    item.add_new("LUTData", "US", list(range(201)))
    rendered = render(make_dataset(stored, VOILUTSequence=Sequence([item])))
    np.testing.assert_allclose(rendered.film, (stored + 100) / 255 * 65535, atol=1.0)


@pytest.mark.parametrize(
    ("windows", "used"),
    [
        ({"WindowCenter": ["100", "30"], "WindowWidth": ["150", "10"]}, (100, 150)),
        ({"WindowCenter": ["100", "90"], "WindowWidth": ["0", "60"]}, (90, 60)),
        ({"WindowCenter": "100", "WindowWidth": "0"}, None),
        ({"WindowCenter": "100", "WindowWidth": "-5"}, None),
        ({"WindowCenter": "100", "WindowWidth": None}, None),
        ({"WindowCenter": "100", "WindowWidth": "1"}, (100, 1)),
    ],
)
def test_which_window(make_dataset: Any, ramp: Any, windows: dict[str, Any], used: tuple[int, int] | None) -> None:
    stored = ramp()
    rendered = render(make_dataset(stored, **windows))
    if used is None:
        assert rendered.voi == "percentile"
    else:
        width = max(used[1], 1 + 1e-12)
        expected = grid(stored, lambda v: reference_window(v, used[0], width, "LINEAR"), inverted=False)
        np.testing.assert_allclose(rendered.film, expected, atol=1.0)


def test_a_voi_lut_goes_before_a_window(make_dataset: Any, ramp: Any) -> None:
    item = lut_item(0, list(range(256)), 8)
    assert render(make_dataset(ramp(), VOILUTSequence=Sequence([item]))).voi == "lut"


@pytest.mark.parametrize("signed", [False, True])
def test_high_bit_and_foreign_bits(make_dataset: Any, ramp: Any, signed: bool) -> None:
    """10 bits in the upper end of 16, with rubbish (an overlay, say) in the bits below."""
    stored = ramp(top=1023) - (512 if signed else 0)
    dataset = make_dataset(stored, 10, HighBit=15, WindowCenter=str(512 - 512 * signed), WindowWidth="1024")
    words = np.frombuffer(dataset.PixelData, "<u2") | np.random.default_rng(0).integers(0, 64, stored.size)
    dataset.PixelData = words.astype("<u2").tobytes()
    lowest = -512 if signed else 0
    np.testing.assert_allclose(render(dataset).film, (stored - lowest) / 1023 * 65535, atol=1.0)


def test_overlay_in_the_high_bits_is_cleared(make_dataset: Any, ramp: Any) -> None:
    stored = ramp(top=4095)
    dataset = make_dataset(stored, 12, WindowCenter="2048", WindowWidth="4096")
    plain = render(dataset).film
    words = np.frombuffer(dataset.PixelData, "<u2") | 0x8000
    dataset.PixelData = words.astype("<u2").tobytes()
    np.testing.assert_array_equal(render(dataset).film, plain)


def test_padding_does_not_count_for_percentiles(make_dataset: Any, ramp: Any) -> None:
    stored = ramp(top=1000) + 2000
    without = {"WindowCenter": None, "WindowWidth": None}
    film = render(make_dataset(stored, 12, **without)).film
    padded = stored.copy()
    padded[:6] = 0
    values = sorted(float(v) for v in padded[6:].ravel())
    low, high = reference_percentile(values, 0.5), reference_percentile(values, 99.5)
    rendered = render(make_dataset(padded, 12, PixelPaddingValue=0, **without)).film
    np.testing.assert_allclose(rendered, grid(padded, lambda v: (v - low) / (high - low), inverted=False), atol=1.0)
    ranged = padded.copy()
    ranged[0] = 5
    same = render(make_dataset(ranged, 12, PixelPaddingValue=0, PixelPaddingRangeLimit=5, **without)).film
    np.testing.assert_array_equal(same[6:], rendered[6:])
    assert film.shape == rendered.shape


def test_a_film_without_header_is_a_film_of_which_nothing_is_known(make_dataset: Any, ramp: Any) -> None:
    image = ramp().astype(np.uint8)
    dicom = render(make_dataset(image, WindowCenter=None, WindowWidth=None))
    np.testing.assert_array_equal(render_image(image, Contrast(8 * image.dtype.itemsize), WHOLE).film, dicom.film)


TURNS = {
    ("L", "F"): lambda a: a,
    ("R", "F"): lambda a: a[:, ::-1],
    ("L", "H"): lambda a: a[::-1],
    ("R", "H"): lambda a: a[::-1, ::-1],
    ("F", "L"): lambda a: a.T,
    ("F", "R"): lambda a: a.T[:, ::-1],
    ("H", "L"): lambda a: a.T[::-1],
    ("H", "R"): lambda a: a.T[::-1, ::-1],
    ("P", "H"): lambda a: a[::-1],
    ("A", "F"): lambda a: a,
    ("LF", "FR"): lambda a: a,
    ("L", "P"): lambda a: a,
    (): lambda a: a,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_orientation_and_never_a_silent_transpose(make_dataset: Any, ramp: Any, orientation: tuple[str, ...]) -> None:
    stored = ramp()
    dataset = make_dataset(stored, PatientOrientation=list(orientation))
    rendered = render(dataset, PixelRecipe(4096, 8))
    np.testing.assert_array_equal(rendered.film, TURNS[orientation](stored))
    assert rendered.film.dtype == np.uint8


def test_spacing_and_aspect_follow_a_transpose(make_dataset: Any, ramp: Any) -> None:
    stored = ramp(40, 20)
    dataset = make_dataset(stored, PixelSpacing=["0.1", "0.2"], PatientOrientation=["F", "L"])
    rendered = render(dataset, PixelRecipe(20, 8))
    # 40 rows of 0.1 mm, 20 columns of 0.2 mm: a square of 4 mm, so 20 × 20 pixels of 0.2 mm
    assert rendered.film.shape == (20, 20)
    assert rendered.spacing_mm == pytest.approx(0.2)


def test_area_resize_by_a_whole_factor_is_the_mean_of_blocks(make_dataset: Any, ramp: Any) -> None:
    stored = ramp(48, 36)
    rendered = render(make_dataset(stored), PixelRecipe(12, 16))
    expected = stored.reshape(16, 3, 12, 3).mean(axis=(1, 3)) / 255 * 65535
    assert rendered.film.shape == (16, 12)
    np.testing.assert_allclose(rendered.film, expected, atol=1.0)


def test_area_resize_by_a_broken_factor_weighs_by_overlap(make_dataset: Any, ramp: Any) -> None:
    def overlaps(n: int, m: int) -> np.ndarray:
        weights = np.zeros((m, n))
        for i, j in itertools.product(range(m), range(n)):
            weights[i, j] = max(0.0, min((i + 1) * n / m, j + 1) - max(i * n / m, j)) / (n / m)
        return weights

    stored = ramp(30, 25)
    rendered = render(make_dataset(stored), PixelRecipe(15, 16))
    expected = overlaps(30, 18) @ (stored / 255.0) @ overlaps(25, 15).T * 65535
    np.testing.assert_allclose(rendered.film, expected, atol=2.0)


@pytest.mark.parametrize(
    ("rows", "cols", "aspect", "side", "size"),
    [
        (2500, 2000, 1.0, 512, (640, 512)),
        (2000, 2500, 1.0, 512, (512, 640)),
        (300, 400, 1.0, 512, (300, 400)),  # never enlarged
        (400, 200, 0.5, 512, (200, 200)),
        (200, 400, 2.0, 100, (100, 100)),
    ],
)
def test_film_size(rows: int, cols: int, aspect: float, side: int, size: tuple[int, int]) -> None:
    assert film_size(rows, cols, aspect, side) == size


def test_rejections(make_dataset: Any, ramp: Any) -> None:
    with pytest.raises(Rejected, match="blank"):
        render(make_dataset(np.full((24, 20), 100)))
    with pytest.raises(Rejected, match="blank"):
        render(make_dataset(ramp(), WindowCenter="5000", WindowWidth="100"))
    with pytest.raises(Rejected, match="unsupported_pixels"):
        render(make_dataset(ramp(), PixelAspectRatio=["1", "9"]))


def test_masks_follow_the_film(make_dataset: Any, ramp: Any) -> None:
    stored = ramp(48, 36)
    mask = np.zeros((48, 36), bool)
    mask[:10, 18:] = True
    dataset = make_dataset(stored, PatientOrientation=["R", "H"])
    geometry = render(dataset, PixelRecipe(12, 8)).geometry
    turned = mask[::-1, ::-1].reshape(16, 3, 12, 3).mean(axis=(1, 3)) >= 0.5
    np.testing.assert_array_equal(geometry.resize_mask(mask), turned)


def test_the_recipe_in_the_header_is_plain_and_complete() -> None:
    resolved = PixelRecipe(128, 16).resolved()
    assert resolved["version"] == 2
    assert (resolved["shorter_side"], resolved["bits"], resolved["enlarged"]) == (128, 16, False)
    assert resolved != PixelRecipe(128, 8).resolved()
