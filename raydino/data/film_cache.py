"""Decoded films in memory that a process and its forks share, so that one budget serves all loader workers.

An anonymous shared mapping, not a file in /dev/shm, which containers keep small. Pages are taken as films come.
Who pickles the cache instead of forking (start method spawn) gets an empty one that holds nothing.
"""

from __future__ import annotations

import mmap
import multiprocessing

import numpy as np
import numpy.typing as npt

from raydino.errors import UserError

Film = npt.NDArray[np.uint8 | np.uint16]
_ABSENT, _BEING_WRITTEN = -1, -2  # in the place of an offset
_ALIGNMENT = 8


class FilmCache:
    """Films by number, first come, first kept: a random order gains nothing from throwing films out.

    At most ``budget_bytes`` of pixels. Films come back read-only, without a copy.
    """

    def __init__(self, n_films: int, budget_bytes: int) -> None:
        self._budget = budget_bytes if n_films else 0
        if self._budget == 0:
            return
        try:
            self._pixels = mmap.mmap(-1, budget_bytes)
        except (OSError, ValueError, OverflowError) as error:
            raise UserError(
                f"{budget_bytes / 2**30:.1f} GiB for decoded films cannot be reserved ({error})",
                remedy="give the cache of films less memory",
            ) from None
        # One row a film: offset, rows, cols, bytes a pixel. The last row's offset is the first free byte.
        self._index = np.frombuffer(mmap.mmap(-1, (n_films + 1) * 32), np.int64).reshape(-1, 4)
        self._index[:-1, 0] = _ABSENT
        self._lock = multiprocessing.get_context("fork").Lock()

    def __reduce__(self) -> tuple[type[FilmCache], tuple[int, int]]:
        return FilmCache, (0, 0)

    def get(self, number: int) -> Film | None:
        """The film, or None where it is not kept."""
        if self._budget == 0:
            return None
        with self._lock:
            offset, rows, cols, itemsize = self._index[number].tolist()
        return self._film(offset, rows, cols, itemsize) if offset >= 0 else None

    def put(self, number: int, film: Film) -> None:
        """Keep a copy, where there is room and no other process was quicker."""
        if self._budget == 0:
            return
        with self._lock:
            offset = int(self._index[-1, 0])
            if self._index[number, 0] != _ABSENT or offset + film.nbytes > self._budget:
                return
            self._index[number, 0] = _BEING_WRITTEN
            self._index[-1, 0] = offset + -(-film.nbytes // _ALIGNMENT) * _ALIGNMENT
        entry = (offset, *film.shape, film.itemsize)
        kept = self._film(*entry)
        kept.flags.writeable = True
        kept[:] = film
        with self._lock:
            self._index[number] = entry

    def _film(self, offset: int, rows: int, cols: int, itemsize: int) -> Film:
        pixels = np.frombuffer(self._pixels, np.uint8, rows * cols * itemsize, offset)
        film: Film = (pixels if itemsize == 1 else pixels.view(np.uint16)).reshape(rows, cols)
        film.flags.writeable = False
        return film
