"""The exact area mean, from overlaps of pixels written out in float64."""

from __future__ import annotations

import numpy as np
import pytest

from raydino.dicom.area import area_weights, resize_area


def overlaps(n: int, m: int) -> np.ndarray:
    left, right = np.arange(m)[:, None] * n / m, (np.arange(m)[:, None] + 1) * n / m
    return np.clip(np.minimum(right, np.arange(n) + 1) - np.maximum(left, np.arange(n)), 0, None) / (n / m)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 7), (12, 4), (13, 4), (100, 99), (2446, 623), (2048, 512), (5, 1)])
def test_weights(n: int, m: int) -> None:
    weights = area_weights(n, m).toarray()
    np.testing.assert_allclose(weights, overlaps(n, m), atol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [(311, 256), (400, 100), (611, 502), (1223, 300), (1223, 1004)])
def test_a_film_to_a_fiftieth_of_a_grey_level_of_16_bits(size: tuple[int, int]) -> None:
    source = np.random.default_rng(1).integers(0, 65536, (1223, 1005)).astype(np.uint16)
    expected = overlaps(1223, size[0]) @ source.astype(np.float64) @ overlaps(1005, size[1]).T
    found = resize_area(source, *size, lambda band: band.astype(np.float32) / np.float32(65535))
    np.testing.assert_allclose(found * 65535.0, expected, atol=0.02)


def test_never_more_than_a_band_of_floats() -> None:
    seen = []

    def as_floats(band: np.ndarray) -> np.ndarray:
        seen.append(band.shape[0])
        return band.astype(np.float32)

    resize_area(np.ones((5000, 40), np.uint8), 600, 30, as_floats)
    assert max(seen) < 5000 / 4
