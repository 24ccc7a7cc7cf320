"""Films as the networks see them."""

import numpy as np
import pytest
import torch

from raydino.data.films import Films, PackedFilms, mean_std, unit_range, whole_film
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


def test_packed_films_come_out_as_they_went_in():
    rng = np.random.default_rng(0)
    films = [rng.integers(0, 256, shape, np.uint8) for shape in ((4, 6), (5, 3), (1, 1))]
    packed = PackedFilms.of(films)
    assert packed.pixels.dtype == torch.uint8
    for film, unpacked in zip(films, packed.unpack(), strict=True):
        assert np.array_equal(film, unpacked.numpy())


def test_packing_two_depths_keeps_the_grey():
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    sixteen = np.arange(256, dtype=np.uint16).reshape(16, 16) * 256
    one, other = PackedFilms.of([eight, sixteen]).unpack()
    assert one.dtype == torch.uint16
    assert np.array_equal(unit_range(one.numpy()), unit_range(eight))
    assert np.array_equal(other.numpy(), sixteen)


def test_a_dataset_that_does_not_know_its_films_sizes(tmp_path):
    dataset = tiny_dataset(tmp_path / "d")
    dataset.accepted.loc[dataset.accepted.index[0], "rows"] = np.nan
    films = Films(dataset, dataset.sample_ids("train"), cache_bytes=10**6)
    assert np.array_equal(films[1], films[1])
