"""Films in memory that processes share: one budget, what one puts another gets, and nothing torn."""

import copy
import multiprocessing
import os

import numpy as np
import pytest

from raydino.data.film_cache import FilmCache
from raydino.errors import UserError

RNG = np.random.default_rng(0)
_KINDS = (((5, 7), np.uint8), ((4, 9), np.uint16), ((6, 6), np.uint8))
FILMS = [RNG.integers(0, np.iinfo(dtype).max, shape, dtype) for shape, dtype in _KINDS]


def test_films_come_back_as_they_were_and_read_only():
    cache = FilmCache(3, 1000)
    assert cache.get(0) is None
    for number, film in enumerate(FILMS):
        cache.put(number, film)
    for number, film in enumerate(FILMS):
        kept = cache.get(number)
        assert kept.dtype == film.dtype
        assert np.array_equal(kept, film)
        with pytest.raises(ValueError, match="read-only"):
            kept[0, 0] = 1


def test_the_budget_holds_and_smaller_films_still_fit():
    cache = FilmCache(3, 40 + 36)
    for number, film in enumerate(FILMS):  # 35 → 40 aligned, 72, 36 bytes
        cache.put(number, film)
    assert [cache.get(number) is not None for number in range(3)] == [True, False, True]


def test_a_fork_sees_what_another_put():
    cache = FilmCache(3, 1000)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=cache.put, args=(1, FILMS[1]))
    child.start()
    child.join()
    assert np.array_equal(cache.get(1), FILMS[1])


def fill(cache, films, mine):
    for number in mine:
        if (kept := cache.get(number)) is None:
            cache.put(number, films[number])
        elif not np.array_equal(kept, films[number]):
            os._exit(1)


def test_many_writers_tear_nothing():
    films = RNG.integers(0, 256, (200, 32, 32), np.uint8)
    cache = FilmCache(200, 150 * 1024)
    context = multiprocessing.get_context("fork")
    orders = [RNG.permutation(200).repeat(2) for _ in range(4)]
    children = [context.Process(target=fill, args=(cache, films, order)) for order in orders]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    kept = [cache.get(number) for number in range(200)]
    assert sum(film is not None for film in kept) == 150  # the budget to the byte, and no film twice
    assert all(np.array_equal(film, films[i]) for i, film in enumerate(kept) if film is not None)


@pytest.mark.parametrize("cache", [FilmCache(3, 0), FilmCache(0, 1000), copy.copy(FilmCache(3, 1000))])
def test_a_cache_that_keeps_nothing(cache):
    cache.put(0, FILMS[0])
    assert cache.get(0) is None


def test_more_than_there_is():
    with pytest.raises(UserError, match="for decoded films cannot be reserved"):
        FilmCache(3, 2**62)
