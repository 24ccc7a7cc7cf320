"""Films as the networks see them: read by index, kept in memory while they fit, made square.

The one deterministic view is the whole film resized to a square: nothing is cut off, and a mask or
a patch maps back to the film by one scale for each axis.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.images import Location, read_film

CACHE_BYTES = 4 * 2**30
Film = npt.NDArray[np.uint8 | np.uint16]


class Films:
    """The films of ``sample_ids``, in that order; integer index → [rows, cols] uint8 or uint16."""

    def __init__(self, dataset: Dataset, sample_ids: Sequence[str], *, cache_bytes: int = CACHE_BYTES) -> None:
        rows = dataset.accepted.loc[list(sample_ids), ["shard", "offset", "length"]]
        self.sample_ids = list(sample_ids)
        self._directory = dataset.path / "images"
        self._locations = [
            Location(str(shard), int(offset), int(length))
            for shard, offset, length in rows.itertuples(index=False, name=None)
        ]
        self._cache: dict[int, Film] = {}
        self._free = cache_bytes

    def __len__(self) -> int:
        return len(self._locations)

    def __getitem__(self, index: int) -> Film:
        if index in self._cache:
            return self._cache[index]
        film = read_film(self._directory, self._locations[index])
        if film.nbytes <= self._free:
            self._cache[index] = film
            self._free -= film.nbytes
        return film


def unit_range(film: Film) -> npt.NDArray[np.float32]:
    """[rows, cols] float32 in 0..1."""
    return film.astype(np.float32) / np.float32(np.iinfo(film.dtype).max)


def whole_film(film: Film, side: int) -> npt.NDArray[np.float32]:
    """The film resized by area to [1, side, side], float32 in 0..1."""
    square = cv2.resize(unit_range(film), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(square, np.float32)[None]


def mean_std(films: Films, *, at_most: int = 512) -> tuple[float, float]:
    """Mean and standard deviation of pixels in 0..1 over evenly spaced films."""
    indices = np.unique(np.linspace(0, len(films) - 1, min(at_most, len(films))).round().astype(int))
    total, squares, count = 0.0, 0.0, 0
    for index in indices:
        values = unit_range(films[int(index)]).astype(np.float64)
        total += float(values.sum())
        squares += float((values**2).sum())
        count += values.size
    mean = total / count
    return mean, float(np.sqrt(max(squares / count - mean**2, 0.0)))
