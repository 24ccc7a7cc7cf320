"""Films as the networks see them: read by index, kept in memory while they fit, made square, packed to travel.

The one deterministic view is the whole film resized to a square: nothing is cut off, and a mask or
a patch maps back to the film by one scale for each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.images import Location, read_film
from raydino.data.film_cache import Film, FilmCache

CACHE_BYTES = 4 * 2**30


class Films:
    """The films of ``sample_ids``, in that order; integer index → [rows, cols] uint8 or uint16.

    Decoded films are kept up to ``cache_bytes``, which this process and its loader workers share.
    """

    def __init__(self, dataset: Dataset, sample_ids: Sequence[str], *, cache_bytes: int = CACHE_BYTES) -> None:
        table = dataset.accepted.loc[list(sample_ids), ["shard", "offset", "length", "rows", "cols"]]
        self.sample_ids = list(sample_ids)
        self._directory = dataset.path / "images"
        self._locations = [
            Location(str(shard), int(offset), int(length))
            for shard, offset, length, _, _ in table.itertuples(index=False, name=None)
        ]
        at_most = (table["rows"] * table["cols"] * 2 + 8).sum(skipna=False)  # of 16 bits, aligned
        self._cache = FilmCache(len(table), cache_bytes if np.isnan(at_most) else min(cache_bytes, int(at_most)))

    def __len__(self) -> int:
        return len(self._locations)

    def __getitem__(self, index: int) -> Film:
        film = self._cache.get(index)
        if film is None:
            film = read_film(self._directory, self._locations[index])
            self._cache.put(index, film)
        return film


class PackedFilms(NamedTuple):
    """Films of different sizes in one tensor, so that a batch crosses to another process or device in one copy."""

    pixels: Tensor  # [all pixels], uint8 or uint16
    shapes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, films: Sequence[Film]) -> PackedFilms:
        """Pack ``films``; where both depths occur, 8 bits become 16 with the same values in 0..1."""
        mixed = len({film.dtype for film in films}) > 1
        wide = [film.astype(np.uint16) * 257 if mixed and film.dtype == np.uint8 else film for film in films]
        pixels = np.concatenate([film.ravel() for film in wide])
        return cls(torch.from_numpy(pixels), tuple((film.shape[0], film.shape[1]) for film in films))

    def unpack(self) -> list[Tensor]:
        """Each film, [rows, cols], as a view."""
        parts = self.pixels.split([rows * cols for rows, cols in self.shapes])
        return [part.view(*shape) for part, shape in zip(parts, self.shapes, strict=True)]


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
