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


MODALITIES: dict[str, dict[str, Any]] = {
    "none": {},
    "rescale": {"RescaleSlope": "0.5", "RescaleIntercept": "7"},
    "falling": {"RescaleSlope": "-0.75", "RescaleIntercept": "30000"},
    "zero slope": {"RescaleSlope": "0", "RescaleIntercept": "5"},  # would leave no image, so it counts as 1
}
LAYOUTS = [  # bits allocated, bits stored, high bit, signed
    (8, 8, 7, False),
    (8, 8, 7, True),
    (8, 6, 5, False),
    (8, 5, 7, True),
    (16, 10, 9, True),
    (16, 12, 11, False),
    (16, 12, 15, True),
    (16, 16, 15, False),
    (16, 16, 15, True),
    (32, 20, 19, False),
    (32, 24, 31, True),
]


def laid_out(dataset: Dataset, stored: np.ndarray, layout: tuple[int, int, int, bool]) -> Dataset:
    """``stored`` in words of the layout, with rubbish (an overlay, say) in all other bits."""
    allocated, bits, high_bit, signed = layout
    shift = high_bit - bits + 1
    rubbish = np.random.default_rng(3).integers(0, 2**allocated, stored.shape)
    mask = (2**bits - 1) << shift
    words = ((stored.astype(np.int64) << shift) & mask) | (rubbish & ~mask & (2**allocated - 1))
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = allocated, bits, high_bit
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = words.astype(f"<u{allocated // 8}").tobytes()
    dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"
    return dataset


def modality_of(name: str, lowest: int, top: int) -> tuple[dict[str, Any], Any]:
    """Attributes, and the reference: stored value → output of the modality step."""
    if name == "lut":
        first, n = lowest + top // 4, 1 + min(top // 2, 40_000)  # both ends are clamped
        entries = [round(4000 * (i / (n - 1)) ** 1.3) for i in range(n)]
        item = lut_item(first % 65536 if first < -(2**15) else first, entries, 12)
        return {"ModalityLUTSequence": Sequence([item])}, lambda v: float(reference_lut(v, first, entries))
    attributes = MODALITIES[name]
    slope = float(attributes.get("RescaleSlope", 1)) or 1.0
    intercept = float(attributes.get("RescaleIntercept", 0))
    return attributes, lambda v: v * slope + intercept


def voi_of(voi: str, x: list[float]) -> tuple[dict[str, Any], Any]:
    """Attributes, and the reference: output of the modality step → grey level, unclipped."""
    low, span = min(x), max(x) - min(x)
    if voi == "lut":
        first, n = round(low + span / 4), max(2, round(min(span / 2, 30_000)))  # both ends are clamped
        entries = [min(4095, round(4095 * (i / (n - 1)) ** 0.7)) for i in range(n)]
        item = lut_item(first, entries, 12)
        return {"VOILUTSequence": Sequence([item])}, lambda v: reference_lut(v, first, entries) / 4095
    if voi == "none":
        bottom, top = reference_percentile(x, 0.5), reference_percentile(x, 99.5)
        return {}, lambda v: (v - bottom) / (top - bottom)
    center, width = round(low + 0.45 * span, 2), round(max(0.6 * span, 2), 2)
    attributes = {"WindowCenter": f"{center:.2f}", "WindowWidth": f"{width:.2f}", "VOILUTFunction": voi}
    return attributes, lambda v: reference_window(v, center, width, voi)


COMBINATIONS = [
    (layout, modality, voi, inversion)
    for layout, modality, voi, inversion in itertools.product(
        LAYOUTS,
        (*MODALITIES, "lut"),
        ("lut", "LINEAR", "LINEAR_EXACT", "SIGMOID", "none"),
        ("none", "mono1", "inverse", "mono1+inverse"),
    )
    if not (layout[0] == 32 and "lut" in (modality, voi))  # a LUT's first input has 16 bits
]


@pytest.mark.parametrize(("layout", "modality", "voi", "inversion"), COMBINATIONS)
def test_golden(
    make_dataset: Any, ramp: Any, layout: tuple[int, int, int, bool], modality: str, voi: str, inversion: str
) -> None:
    _, bits, _, signed = layout
    top = 2**bits - 1
    lowest = -(2 ** (bits - 1)) if signed else 0
    stored = ramp(top=top) + lowest
    attributes, to_x = modality_of(modality, lowest, top)
    x = [to_x(float(v)) for v in stored.ravel()]
    more, to_grey = voi_of(voi, x)
    attributes = {"WindowCenter": None, "WindowWidth": None} | attributes | more
    if inversion.startswith("mono1"):
        attributes["PhotometricInterpretation"] = "MONOCHROME1"
    if inversion.endswith("inverse"):
        attributes["PresentationLUTShape"] = "INVERSE"
    dataset = laid_out(make_dataset(np.clip(stored, 0, 255), 8, **attributes), stored, layout)
    rendered = render(dataset)
    assert rendered.voi == {"lut": "lut", "none": "percentile"}.get(voi, "window")
    assert rendered.film.dtype == np.uint16
    expected = grid(stored, lambda v: to_grey(to_x(v)), inverted=inversion != "none")  # both together invert once
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


def test_the_choice_is_recorded(make_dataset: Any, ramp: Any) -> None:
    second = render(make_dataset(ramp(), WindowCenter=["100", "90", "80"], WindowWidth=["0", "60", "50"]))
    assert (second.voi, second.detail) == ("window", "VOI window 2 of 3")
    broken = Dataset()  # without a descriptor
    lut = render(make_dataset(ramp(), VOILUTSequence=Sequence([broken, lut_item(0, list(range(256)), 8)])))
    assert (lut.voi, lut.detail) == ("lut", "VOI LUT 2 of 2")
    assert render(make_dataset(ramp(), WindowCenter=["100", "90"], WindowWidth=["150", "60"])).detail is None


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


def overlaps(n: int, m: int) -> np.ndarray:
    """[m, n]: how much of each of m equal stretches each of n equal stretches covers."""
    weights = np.zeros((m, n))
    for i, j in itertools.product(range(m), range(n)):
        weights[i, j] = max(0.0, min((i + 1) * n / m, j + 1) - max(i * n / m, j)) / (n / m)
    return weights


@pytest.mark.parametrize("orientation", TURNS)
def test_orientation_and_never_a_silent_transpose(make_dataset: Any, ramp: Any, orientation: tuple[str, ...]) -> None:
    stored = ramp()
    dataset = make_dataset(stored, PatientOrientation=list(orientation))
    rendered = render(dataset, PixelRecipe(4096, 8))
    np.testing.assert_array_equal(rendered.film, TURNS[orientation](stored))
    assert rendered.film.dtype == np.uint8


def test_several_frames(make_dataset: Any, ramp: Any) -> None:
    frames = [ramp(top=255 - 40 * n) for n in range(3)]
    dataset = make_dataset(
        np.vstack(frames), Rows=24, NumberOfFrames=3, PatientOrientation=["R", "F"], WindowCenter="128"
    )
    for n, stored in enumerate(frames):
        rendered = render_dicom(dataset, read_film_header(dataset), WHOLE, frame=n)
        np.testing.assert_allclose(rendered.film, stored[:, ::-1] / 255 * 65535, atol=1.0)
        assert rendered.detail == f"frame {n + 1} of 3; turned to the standard display: flipped left-right"
    with pytest.raises(Rejected, match="no frame 4 among 3"):
        render_dicom(dataset, read_film_header(dataset), WHOLE, frame=3)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("spacing", [None, (0.1, 0.2), (0.3, 0.2)])
@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("inverted", [False, True])
def test_golden_geometry(
    make_dataset: Any,
    ramp: Any,
    orientation: tuple[str, ...],
    spacing: tuple[float, float] | None,
    bits: int,
    inverted: bool,
) -> None:
    """Orientation × spacing × depth × inversion, with a resize by broken factors in each."""
    stored = ramp(30, 46)
    attributes: dict[str, Any] = {"PatientOrientation": list(orientation)}
    if spacing:
        attributes["PixelSpacing"] = [str(value) for value in spacing]
    if inverted:
        attributes["PhotometricInterpretation"] = "MONOCHROME1"
    rendered = render(make_dataset(stored, **attributes), PixelRecipe(13, bits))
    between_rows, between_cols = spacing or (1.0, 1.0)
    height, width = 30 * between_rows, 46 * between_cols  # in mm, where a pixel of the film is square
    shorter = min(30 * min(between_rows / between_cols, 1), 46 * min(between_cols / between_rows, 1), 13)
    rows, cols = (round(side * shorter / min(height, width)) for side in (height, width))
    grey = stored / 255
    expected = TURNS[orientation](overlaps(30, rows) @ (1 - grey if inverted else grey) @ overlaps(46, cols).T)
    np.testing.assert_allclose(rendered.film, expected * (2**bits - 1), atol=0.51 if bits == 8 else 1.0)


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


@pytest.mark.parametrize("orientation", [["L", "F"], ["R", "H"], ["F", "L"], ["H", "R"]])
def test_a_mask_goes_back_to_the_source(make_dataset: Any, ramp: Any, orientation: list[str]) -> None:
    """Pixels twice as high as wide; each of the film's pixels is a whole number of the source's."""
    stored = ramp(48, 144)
    dataset = make_dataset(stored, PatientOrientation=orientation, PixelSpacing=[0.2, 0.1])
    geometry = render(dataset, PixelRecipe(24, 8)).geometry
    assert geometry.before_turn == (24, 36)
    mask = np.zeros((geometry.rows, geometry.cols), bool)
    mask[:5, 7:20] = mask[9, 3] = True
    back = geometry.mask_in_source(mask, 48, 144)
    assert (back.shape, back.sum()) == ((48, 144), mask.sum() * 8)
    np.testing.assert_array_equal(geometry.resize_mask(back), mask)


def test_a_mask_goes_back_between_grids_that_do_not_divide(make_dataset: Any, ramp: Any) -> None:
    dataset = make_dataset(ramp(100, 71), PatientOrientation=["F", "R"])
    geometry = render(dataset, PixelRecipe(17, 8)).geometry
    mask = np.random.default_rng(0).random((geometry.rows, geometry.cols)) < 0.4
    np.testing.assert_array_equal(geometry.resize_mask(geometry.mask_in_source(mask, 100, 71)), mask)


def test_the_recipe_in_the_header_is_plain_and_complete() -> None:
    resolved = PixelRecipe(128, 16).resolved()
    assert resolved["version"] == 2
    assert (resolved["shorter_side"], resolved["bits"], resolved["enlarged"]) == (128, 16, False)
    assert resolved != PixelRecipe(128, 8).resolved()
