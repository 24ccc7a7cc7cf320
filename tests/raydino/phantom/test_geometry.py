import numpy as np
import pytest

from raydino.phantom.geometry import Grid, ellipse, smooth_curve, tube

GRID = Grid(rows=200, cols=160, spacing_mm=0.5, midline_mm=40.0)


def test_positions_are_pixel_centres_from_the_midline() -> None:
    assert GRID.x.shape == (1, 160)
    assert GRID.x[0, 0] == pytest.approx(-39.75)
    assert GRID.x[0, 80] == pytest.approx(0.25)
    assert GRID.y[10, 0] == pytest.approx(5.25)


def test_a_filled_ellipse_has_its_area_and_place() -> None:
    cover = GRID.cover([ellipse(10.0, 50.0, 12.0, 20.0)])
    assert cover.sum() * 0.25 == pytest.approx(np.pi * 12.0 * 20.0, rel=0.05)
    assert (cover * GRID.x).sum() / cover.sum() == pytest.approx(10.0, abs=0.15)
    assert (cover * GRID.y).sum() / cover.sum() == pytest.approx(50.0, abs=0.15)


def test_the_chord_of_a_disc_is_that_of_a_sphere() -> None:
    thickness = GRID.chord(GRID.cover([ellipse(0.0, 50.0, 20.0, 20.0)]), 20.0)
    radius = np.hypot(GRID.x, GRID.y - 50.0)
    sphere = np.sqrt(np.clip(1.0 - (radius / 20.0) ** 2, 0.0, None))
    assert np.abs(thickness - sphere)[radius < 18.0].max() < 0.08
    assert thickness[radius > 21.0].max() == 0.0


def test_the_chord_of_nothing_is_nothing() -> None:
    assert GRID.chord(GRID.zeros(), 10.0).max() == 0.0


def test_a_smooth_curve_passes_through_its_knots() -> None:
    knots = [(0.0, 0.0), (5.0, 8.0), (12.0, 3.0)]
    open_curve = smooth_curve(knots, steps=10)
    closed_curve = smooth_curve(knots, closed=True, steps=10)
    np.testing.assert_allclose(open_curve[[0, 10, 20]], knots, atol=1e-12)
    np.testing.assert_allclose(closed_curve[[0, 10, 20]], knots, atol=1e-12)
    assert len(closed_curve) == 30


def test_a_tube_is_as_wide_as_asked() -> None:
    band = tube(np.array([[-20.0, 50.0], [0.0, 50.0], [20.0, 50.0]]), 4.0)
    assert GRID.cover([band]).sum() * 0.25 == pytest.approx(40.5 * 8.5, rel=0.05)


def test_a_strip_is_a_window_on_the_same_film() -> None:
    narrow, columns = GRID.strip(10.0)
    shape = [ellipse(2.0, 40.0, 5.0, 5.0)]
    np.testing.assert_array_equal(narrow.cover(shape), GRID.cover(shape)[:, columns])


def test_a_wide_blur_keeps_the_mean_and_a_constant() -> None:
    image = GRID.cover([ellipse(0.0, 50.0, 15.0, 15.0)])
    assert GRID.blur(image, 6.0).mean() == pytest.approx(float(image.mean()), rel=0.02)
    np.testing.assert_allclose(GRID.blur(GRID.zeros() + 3.0, 20.0), 3.0, rtol=1e-5)
