"""Films as the networks see them."""

import numpy as np
import pytest

from raydino.data.films import Films, mean_std, unit_range, whole_film
from raydino.testing.tiny import tiny_dataset


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_unit_range(dtype, top):
    film = np.array([[0, top]], dtype)
    assert unit_range(film).tolist() == [[0.0, 1.0]]


def test_whole_film_keeps_corners_where_they_are():
    film = np.zeros((60, 40), np.uint8)
    film[:15, 30:] = 255  # top right
    view = whole_film(film, 16)
    assert view.shape == (1, 16, 16)
    assert view[0, 0, -1] == pytest.approx(1.0)
    assert view[0, -1, -1] == view[0, 0, 0] == view[0, -1, 0] == 0.0


def test_area_resize_keeps_the_mean():
    film = np.random.default_rng(0).integers(0, 256, (64, 96)).astype(np.uint8)
    assert whole_film(film, 16).mean() == pytest.approx(film.mean() / 255, abs=1e-4)


def test_mean_and_std_equal_numpys(tmp_path):
    dataset = tiny_dataset(tmp_path / "d")
    films = Films(dataset, dataset.sample_ids("train"))
    pixels = np.concatenate([films[i].ravel() for i in range(len(films))]) / 255
    assert mean_std(films) == pytest.approx((pixels.mean(), pixels.std()), abs=1e-6)


def test_a_small_cache_gives_the_same_films(tmp_path):
    dataset = tiny_dataset(tmp_path / "d")
    ids = dataset.sample_ids()
    cached, uncached = Films(dataset, ids), Films(dataset, ids, cache_bytes=0)
    for index in (0, 5, 0):
        assert np.array_equal(cached[index], uncached[index])
        assert np.array_equal(cached[index], dataset.film(ids[index]))
