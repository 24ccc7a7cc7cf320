"""Golden numbers, worked out by hand from the formulas of PS3.3 C.11."""

from __future__ import annotations

import numpy as np
import pytest

from raydino.dicom.contrast import (
    Contrast,
    Lut,
    Voi,
    Window,
    apply_lut,
    apply_window,
    choose_voi,
    grey_table,
    modality,
    percentile_range,
)

RAMP = Lut(10, np.array([0, 50, 100, 200]), 8)


@pytest.mark.parametrize(
    ("window", "x", "grey"),
    [
        # C.11.2.1.2.1 gives these four as examples
        (Window(2048, 4096), [0, 1, 4094, 4095, 5000], [0, 1 / 4095, 4094 / 4095, 1, 1]),
        (Window(2048, 1), [2047, 2047.5, 2048], [0, 0, 1]),
        (Window(0, 100), [-51, -50, -0.5, 0, 49, 50], [0, 0, 0.5, 0.5 + 0.5 / 99, 1, 1]),
        (Window(0, 1), [-1, -0.5, 0], [0, 0, 1]),
        # C.11.2.1.3.2, LINEAR_EXACT: (x - c) / w + 0.5
        (Window(0, 100, "LINEAR_EXACT"), [-51, -50, -25, 0, 25, 50, 51], [0, 0, 0.25, 0.5, 0.75, 1, 1]),
        (Window(10, 0.5, "LINEAR_EXACT"), [9, 9.75, 10, 10.125, 10.25], [0, 0, 0.5, 0.75, 1]),
        # C.11.2.1.3.1, SIGMOID: 1 / (1 + exp(-4 (x - c) / w)); 1 / (1 + 1/e) = 0.731059
        (Window(100, 40, "SIGMOID"), [90, 100, 110, 120], [0.268941, 0.5, 0.731059, 0.880797]),
        (Window(100, 0.001, "SIGMOID"), [-1e9, 100, 1e9], [0, 0.5, 1]),  # no overflow
    ],
)
def test_windows(window: Window, x: list[float], grey: list[float]) -> None:
    np.testing.assert_allclose(apply_window(np.array(x, float), window), grey, atol=1e-6)


@pytest.mark.parametrize(
    ("window", "usable"),
    [
        (Window(1, 1), True),
        (Window(1, 0.99), False),
        (Window(1, 0), False),
        (Window(1, -3), False),
        (Window(1, 0.5, "SIGMOID"), True),
        (Window(1, 0.5, "LINEAR_EXACT"), True),
        (Window(1, 0, "SIGMOID"), False),
        (Window(float("nan"), 5), False),
        (Window(1, float("inf")), False),
        (Window(1, 10, "LOGARITHMIC"), False),
    ],
)
def test_which_windows_are_usable(window: Window, usable: bool) -> None:
    assert window.usable is usable


def test_a_lut_clamps_at_both_ends() -> None:
    np.testing.assert_array_equal(
        apply_lut(np.array([-5.0, 9, 10, 11, 13, 14, 99]), RAMP), [0, 0, 0, 50, 200, 200, 200]
    )


def test_a_lut_excludes_a_rescale() -> None:
    x = np.array([10.0, 12.0])
    np.testing.assert_array_equal(modality(x, Contrast(8, slope=2.0, intercept=-5.0)), [15, 19])
    np.testing.assert_array_equal(modality(x, Contrast(8, modality_lut=RAMP, slope=2.0)), [0, 100])


def test_the_order_of_choices() -> None:
    windows = (Window(0, 0), Window(5, 10))
    assert choose_voi(Contrast(8, voi_luts=(None, RAMP), windows=windows)) == Voi("lut", 2, 2)
    assert choose_voi(Contrast(8, voi_luts=(None,), windows=windows)) == Voi("window", 2, 2)
    assert choose_voi(Contrast(8, windows=windows[:1])) == Voi("percentile")
    assert Voi("window", 2, 3).describe() == "VOI window 2 of 3"
    assert Voi("lut", 1, 3).describe() is None


def test_percentiles() -> None:
    counts = np.zeros(256, np.int64)
    counts[[3, 50, 200, 250]] = [4, 496, 496, 4]  # of 1,000: 0.4 % lie at 3, 0.4 % at 250
    values = np.arange(256.0)
    assert percentile_range(values, counts) == (50, 200)
    assert percentile_range(-values, counts) == (-200, -50)
    counts[[3, 250]] = 6
    assert percentile_range(values, counts) == (3, 250)
    only = np.zeros(256, np.int64)
    only[7] = 10_000
    only[9] = 1
    assert percentile_range(values, only) == (7, 9)  # nearly all one value: the smallest and largest


def test_inversion_comes_last() -> None:
    stored = np.array([0.0, 10.0, 20.0])
    contrast = Contrast(8, windows=(Window(5, 10, "LINEAR_EXACT"),))
    shown = grey_table(contrast, stored, choose_voi(contrast))
    np.testing.assert_allclose(shown, [0, 1, 1])
    inverted = Contrast(8, windows=contrast.windows, inverted=True)
    np.testing.assert_allclose(grey_table(inverted, stored, choose_voi(inverted)), [1, 0, 0])


def test_padding_keeps_its_counts_where_there_is_nothing_else() -> None:
    stored, counts = np.arange(4.0), np.array([5, 100, 100, 0])
    voi = Voi("percentile")
    np.testing.assert_allclose(grey_table(Contrast(2, padding=(0, 0)), stored, voi, counts), [0, 0, 1, 1])
    np.testing.assert_allclose(grey_table(Contrast(2, padding=(0, 3)), stored, voi, counts), [0, 0.5, 1, 1])
