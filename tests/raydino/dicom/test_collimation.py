"""Fields from the formulas of PS3.3 C.7.6.11, pixel by pixel, and what they do to percentiles."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import raydino
from raydino.dicom.collimation import field_without_borders, header_field
from raydino.dicom.header import read_film_header
from raydino.dicom.pixels import PixelRecipe, render_dicom
from raydino.dicom.stored import StoredFrame

DATA = Path(raydino.__file__).resolve().parents[2] / "shared" / "data"
SIZE = (60, 50)
NO_VOI = {"WindowCenter": None, "WindowWidth": None}


def edges(aperture: str, left: int, right: int, upper: int, lower: int) -> dict[str, Any]:
    names = ("LeftVertical", "RightVertical", "UpperHorizontal", "LowerHorizontal")
    values = zip(names, (left, right, upper, lower), strict=True)
    return {f"{aperture}{name}Edge": value for name, value in values}


def circle(aperture: str, row: int, col: int, radius: int) -> dict[str, Any]:
    return {f"CenterOfCircular{aperture}": [row, col], f"RadiusOfCircular{aperture}": radius}


def polygon(aperture: str, *corners: int) -> dict[str, Any]:
    return {f"VerticesOfThePolygonal{aperture}": list(corners)}


def in_triangle(row: int, col: int) -> bool:
    """The triangle (1, 1), (60, 1), (60, 50), rows and columns from 1."""
    return col <= 1 + 49 * (row - 1) / 59 + 1e-9


@pytest.mark.parametrize("aperture", ["Shutter", "Collimator"])
@pytest.mark.parametrize(
    ("shapes", "inside"),
    [
        (("RECTANGULAR",), lambda r, c: 11 <= c <= 40 and 6 <= r <= 55),
        (("CIRCULAR",), lambda r, c: math.hypot(r - 30, c - 25) <= 20),
        (("POLYGONAL",), in_triangle),
        (("RECTANGULAR", "CIRCULAR"), lambda r, c: 11 <= c <= 40 and 6 <= r <= 55 and math.hypot(r - 30, c - 25) <= 20),
        (("CIRCULAR", "POLYGONAL"), lambda r, c: math.hypot(r - 30, c - 25) <= 20 and in_triangle(r, c)),
    ],
)
def test_shapes(make_dataset: Any, ramp: Any, aperture: str, shapes: tuple[str, ...], inside: Any) -> None:
    attributes = edges(aperture, 11, 40, 6, 55) | circle(aperture, 30, 25, 20) | polygon(aperture, 1, 1, 60, 1, 60, 50)
    dataset = make_dataset(ramp(*SIZE), **{f"{aperture}Shape": list(shapes)}, **attributes)
    field = header_field(dataset, SIZE, 1.0)
    assert field is not None
    expected = np.array([[inside(r, c) for c in range(1, 51)] for r in range(1, 61)])
    differing = (field > 0) != expected
    # a polygon's border runs through pixels, and which of them belong to it is not said
    assert not differing.any() if "POLYGONAL" not in shapes else differing.mean() < 0.02


def test_shutter_and_collimator_together(make_dataset: Any, ramp: Any) -> None:
    both = edges("Shutter", 1, 30, 1, 60) | edges("Collimator", 21, 50, 1, 40)
    dataset = make_dataset(ramp(*SIZE), ShutterShape="RECTANGULAR", CollimatorShape="RECTANGULAR", **both)
    field = header_field(dataset, SIZE, 1.0)
    assert field is not None
    assert field[:40, 20:30].all()
    assert (field > 0).sum() == 40 * 10


def test_a_circle_is_round_in_mm(make_dataset: Any, ramp: Any) -> None:
    dataset = make_dataset(ramp(*SIZE), ShutterShape="CIRCULAR", **circle("Shutter", 30, 25, 20))
    field = header_field(dataset, SIZE, 2.0)  # pixels are twice as high as wide
    assert field is not None
    assert (field[29] > 0).sum() == 41
    assert (field[:, 24] > 0).sum() == 21


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"ShutterShape": "BITMAP"},
        {"ShutterShape": "RECTANGULAR"},  # without edges
        {"ShutterShape": "RECTANGULAR", **edges("Shutter", 1, 50, 1, 60)},  # the whole film
        {"ShutterShape": "RECTANGULAR", **edges("Shutter", 40, 11, 6, 55)},  # nothing
        {"ShutterShape": "RECTANGULAR", **edges("Shutter", 700, 900, 6, 55)},  # outside
        {"ShutterShape": "RECTANGULAR", **edges("Shutter", -900, -700, 6, 55)},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [30, 25]},
        {"ShutterShape": "POLYGONAL", **polygon("Shutter", 1, 1, 60, 1)},
    ],
)
def test_what_is_no_field(make_dataset: Any, ramp: Any, attributes: dict[str, Any]) -> None:
    assert header_field(make_dataset(ramp(*SIZE), **attributes), SIZE, 1.0) is None


def test_an_apertures_broken_shape_leaves_the_others(make_dataset: Any, ramp: Any) -> None:
    attributes = {"ShutterShape": ["CIRCULAR", "RECTANGULAR"], **edges("Shutter", 11, 40, 6, 55)}
    field = header_field(make_dataset(ramp(*SIZE), **attributes), SIZE, 1.0)
    assert field is not None
    assert (field > 0).sum() == 30 * 50


def reference_percentiles(values: np.ndarray) -> tuple[float, float]:
    ordered = sorted(values.ravel().tolist())
    low, high = (ordered[max(0, math.ceil(p / 100 * len(ordered)) - 1)] for p in (0.5, 99.5))
    return low, high


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("padding", [None, (5, None), (5, 9)])
@pytest.mark.parametrize("field", [None, "shutter", "circle", "both"])
@pytest.mark.parametrize("signed", [False, True])
def test_golden_percentiles(
    make_dataset: Any, ramp: Any, signed: bool, field: str | None, padding: Any, photometric: str
) -> None:
    """Padding × field × sign × photometric interpretation, without any VOI."""
    lowest = -2048 if signed else 0
    stored = ramp(*SIZE, 2000) + 800 + lowest
    stored[:7, ::2] = 5 + lowest  # padding, if it is said to be
    stored[7:9, ::2] = 9 + lowest
    stored[:, 42::2] = 4095 + lowest  # outside of the shutter
    attributes: dict[str, Any] = {"PhotometricInterpretation": photometric, **NO_VOI}
    keep = np.ones(SIZE, bool)
    rows, cols = np.mgrid[1 : SIZE[0] + 1, 1 : SIZE[1] + 1]
    if field in ("shutter", "both"):
        attributes |= {"ShutterShape": "RECTANGULAR", **edges("Shutter", 1, 40, 1, 60)}
        keep &= cols <= 40
    if field in ("circle", "both"):
        attributes |= {"CollimatorShape": "CIRCULAR", **circle("Collimator", 30, 20, 25)}
        keep &= np.hypot(rows - 30, cols - 20) <= 25
    dataset = make_dataset(stored, 12, **attributes)
    if padding is not None:
        dataset.add_new("PixelPaddingValue", "SS" if signed else "US", padding[0] + lowest)
        last = padding[1] or padding[0]
        if padding[1]:
            dataset.add_new("PixelPaddingRangeLimit", "SS" if signed else "US", padding[1] + lowest)
        keep &= ~((stored >= padding[0] + lowest) & (stored <= last + lowest))
    rendered = render_dicom(dataset, read_film_header(dataset), PixelRecipe(4096, 16))
    low, high = reference_percentiles(stored[keep].astype(float))
    grey = np.clip((stored - low) / (high - low), 0, 1)
    expected = (1 - grey if photometric == "MONOCHROME1" else grey) * 65535
    assert rendered.voi == "percentile"
    np.testing.assert_allclose(rendered.film, expected, atol=1.0)


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right"), [(40, 30, 0, 0), (0, 0, 50, 20), (33, 41, 25, 60), (0, 90, 0, 0)]
)
@pytest.mark.parametrize("shade", [0, 4095])
def test_bare_borders_are_found_and_nothing_else(
    ramp: Any, shade: int, top: int, bottom: int, left: int, right: int
) -> None:
    rng = np.random.default_rng(4)
    film = ramp(300, 240, 3000) + 500 + rng.integers(0, 60, (300, 240))
    inside = np.zeros(film.shape, bool)
    inside[top : 300 - bottom, left : 240 - right] = True
    film[~inside] = shade
    film[~inside] += rng.integers(0, 20, (~inside).sum()) * (1 if shade == 0 else -1)  # scatter
    if left >= 20:
        film[120:124, 5:20] = 2000  # a marker in the border
    field = field_without_borders(StoredFrame.of(film.astype(np.uint16), 12))
    assert field is not None
    assert field[inside].all()
    assert (field > 0).sum() - inside.sum() <= 2 * sum(film.shape)  # but for a row or column on each side


def test_a_film_without_borders_has_none(ramp: Any) -> None:
    assert field_without_borders(StoredFrame.of(ramp(300, 240, 4095).astype(np.uint16), 12)) is None
    assert field_without_borders(StoredFrame.of(np.full((300, 240), 7, np.uint16), 12)) is None


def test_a_film_that_is_mostly_border_is_left_alone(ramp: Any) -> None:
    film = np.zeros((300, 240), np.uint16)
    film[100:130, 100:200] = ramp(30, 100, 4095)
    assert field_without_borders(StoredFrame.of(film, 12)) is None


def test_borders_do_not_press_the_anatomy_together(make_dataset: Any, ramp: Any) -> None:
    stored = np.full((100, 100), 4095)
    stored[20:80, 20:80] = ramp(60, 60, 1000) + 500
    dataset = make_dataset(stored, 12, **NO_VOI)
    film = render_dicom(dataset, read_film_header(dataset), PixelRecipe(4096, 8)).film
    assert np.percentile(film[20:80, 20:80], 98) - np.percentile(film[20:80, 20:80], 2) > 220


@pytest.mark.skipif(not (DATA / "masks" / "lungs").is_dir(), reason="no real films with lung masks beside the project")
def test_no_lung_of_a_real_film_lies_in_a_border() -> None:
    """Of films whose lungs are drawn, with a border added all around and without."""
    import pydicom

    files = {path.stem: path for path in (DATA / "masks" / "lungs").glob("*.png")}
    films = itertools.chain((DATA / "archive" / "openist").rglob("*"), (DATA / "archive" / "wingspan").rglob("*"))
    seen = 0
    for path in itertools.islice((p for p in sorted(films) if p.is_file()), 0, None, 4):
        dataset = pydicom.dcmread(path, force=True)
        if (mask_path := files.get(str(dataset.get("SOPInstanceUID", "")))) is None:
            continue
        mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        film = dataset.pixel_array
        for border in (0, 40):
            framed = np.pad(film, border, constant_values=int(film.max()))
            field = field_without_borders(StoredFrame.of(framed.astype(np.uint16), 16))
            lungs = np.pad(mask, border) > 127
            if lungs.shape == framed.shape and field is not None:
                assert field[lungs].all()
        seen += 1
    assert seen > 50
