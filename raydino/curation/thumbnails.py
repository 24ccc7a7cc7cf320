"""Small pictures of films, and the vector by which copies of a film find each other.

Encoders are trained to say the same of a film whatever its window or crop, and much the same of any two chests:
that is what makes them poor at telling a copy from another patient (benchmarks/planted_duplicates.py). So copies are
sought in the pixels. The vector holds directions of the gradient on a 32 × 32 grid, which a change of window leaves
alone, whitened by the principal components of the archive, so that what all chests share counts little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from raydino.curation.kmeans import F32
from raydino.tracking import track

SIDE = 64
Thumbnails = npt.NDArray[np.uint8]  # [N, SIDE, SIDE]; 200,000 films take 0.8 GB
Film = npt.NDArray[np.uint8 | np.uint16]

_GRID = 32
_COMPONENTS = 256
_FIT_ROWS = 4096
_BLOCK_ROWS = 1024
_LEAST_SLOPE = 0.02  # of the film's range a grid step: below it a direction is noise, and counts less


def thumbnail(film: Film) -> npt.NDArray[np.uint8]:
    """[SIDE, SIDE]: the whole film made square, as an encoder sees it; its range is that of the film's type."""
    small = cv2.resize(film.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.rint(small * (255.0 / np.iinfo(film.dtype).max)).astype(np.uint8)


def thumbnails(films: Iterable[Film], n_films: int) -> Thumbnails:
    """[n_films, SIDE, SIDE], film by film, so that no two films need be in memory."""
    small = np.empty((n_films, SIDE, SIDE), np.uint8)
    for row, film in enumerate(track(films, "thumbnails", total=n_films)):
        small[row] = thumbnail(film)
    return small


@dataclass(frozen=True)
class Descriptor:
    """From thumbnails to vectors [N, D]: subtract ``mean`` [G], then project on ``components`` [G, D]."""

    mean: F32
    components: F32

    @classmethod
    def fit(cls, pictures: Thumbnails, *, seed: int) -> Descriptor:
        """The principal components of an archive, scaled to unit variance; from at most 4,096 films that seed draws."""
        rows = np.random.default_rng(seed).choice(len(pictures), min(len(pictures), _FIT_ROWS), replace=False)
        directions = _directions(pictures[np.sort(rows)])
        n = max(1, min(_COMPONENTS, len(rows) - 1))
        found = PCA(n, svd_solver="randomized", random_state=seed).fit(directions)
        scale = np.sqrt(np.maximum(found.explained_variance_, np.finfo(np.float32).eps))
        return cls(found.mean_.astype(np.float32), (found.components_.T / scale).astype(np.float32))

    def __call__(self, pictures: Thumbnails) -> F32:
        """[N, D] float32, not normalised."""
        vectors = np.empty((len(pictures), self.components.shape[1]), np.float32)
        for start in range(0, len(pictures), _BLOCK_ROWS):
            block = pictures[start : start + _BLOCK_ROWS]
            vectors[start : start + len(block)] = (_directions(block) - self.mean) @ self.components
        return vectors


def shifted(pictures: Thumbnails) -> list[Thumbnails]:
    """The pictures, and four views of them that are shifted by 3 % along both axes: a query by all five finds copies
    that a crop or a shift has moved, as the vector is that of a fixed grid."""
    by = SIDE // 32
    padded = np.pad(pictures, ((0, 0), (by, by), (by, by)), mode="edge")
    corners = ((by, by), (0, 0), (0, 2 * by), (2 * by, 0), (2 * by, 2 * by))
    return [padded[:, down : down + SIDE, right : right + SIDE] for down, right in corners]


def _directions(pictures: Thumbnails) -> F32:
    """[N, 2 · 32 · 32]: the gradient of each place divided by its length, less where there is hardly any."""
    rows = np.empty((len(pictures), 2, _GRID, _GRID), np.float32)
    for row, picture in zip(rows, pictures, strict=True):
        small = cv2.resize(picture.astype(np.float32) / 255, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
        slopes = np.stack([cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1)])
        row[:] = slopes / (np.sqrt((slopes**2).sum(axis=0)) + _LEAST_SLOPE)
    return rows.reshape(len(rows), -1)
