"""Boxes as torchvision's RandomResizedCrop draws them: shares, aspects, places and the last resort."""

import numpy as np
import pytest

from raydino.data.augment.boxes import random_boxes, random_resized_boxes

N = 4000


@pytest.mark.parametrize("shape", [(512, 512), (620, 512), (400, 900)])
@pytest.mark.parametrize("scale", [(0.05, 0.32), (0.32, 1.0), (0.15, 0.15)])
def test_shares_aspects_and_places(shape, scale):
    boxes = random_resized_boxes(shape, scale, N, np.random.default_rng(0))
    top, left, rows, cols = boxes.T
    assert (rows > 0).all()
    assert (cols > 0).all()
    assert top.min() >= 0
    assert left.min() >= 0
    assert (top + rows <= shape[0]).all()
    assert (left + cols <= shape[1]).all()
    central = (
        (top == (shape[0] - rows) // 2) & (left == (shape[1] - cols) // 2) & ((rows == shape[0]) | (cols == shape[1]))
    )
    drawn = ~central  # the last resort keeps the aspects only
    shares = (rows * cols / (shape[0] * shape[1]))[drawn]
    assert scale[0] * 0.98 <= shares.min()
    assert shares.max() <= scale[1] * 1.02
    aspects = cols / rows
    assert aspects.min() >= 0.75 * 0.98
    assert aspects.max() <= 4 / 3 * 1.02


def test_distribution_where_everything_fits():
    boxes = random_resized_boxes((1000, 1000), (0.05, 0.32), N, np.random.default_rng(1))
    top, _, rows, cols = boxes.T
    shares, log_aspects = rows * cols / 1e6, np.log(cols / rows)
    for values, low, high in ((shares, 0.05, 0.32), (log_aspects, np.log(3 / 4), np.log(4 / 3))):
        quantiles = np.quantile(values, [0.25, 0.5, 0.75])  # of a uniform distribution
        np.testing.assert_allclose(
            quantiles, low + np.array([0.25, 0.5, 0.75]) * (high - low), atol=0.03 * (high - low)
        )
    assert np.mean(top / (1000 - rows)) == pytest.approx(0.5, abs=0.02)


def torchvision_fallback(rows, cols):
    """What torchvision documents for ten failed tries, written out by hand: a central crop, aspect clamped."""
    ratio = cols / rows
    width, height = cols, rows
    if ratio < 3 / 4:
        height = round(width / (3 / 4))
    elif ratio > 4 / 3:
        width = round(height * (4 / 3))
    return (rows - height) // 2, (cols - width) // 2, height, width


@pytest.mark.parametrize("shape", [(1000, 200), (200, 1000), (301, 100), (101, 307), (7, 9)])
def test_last_resort(shape):
    boxes = random_resized_boxes(shape, (0.9999, 1.0), 50, np.random.default_rng(2))
    expected = torchvision_fallback(*shape)
    fallen = [tuple(box) == expected for box in boxes.tolist()]
    assert all(fallen) if max(shape) > 10 else any(fallen)


def test_a_film_of_one_pixel():
    assert random_resized_boxes((1, 1), (0.05, 0.32), 3, np.random.default_rng(0)).tolist() == [[0, 0, 1, 1]] * 3


def test_equal_boxes_reach_all_places():
    boxes = random_boxes((10, 12), 8, 500, np.random.default_rng(0))
    assert {tuple(box) for box in boxes.tolist()} == {(t, left, 8, 8) for t in range(3) for left in range(5)}
    assert random_boxes((8, 8), 8, 1, np.random.default_rng(0)).tolist() == [[0, 0, 8, 8]]
