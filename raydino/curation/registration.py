"""How alike two films are once one is laid upon the other: the test that decides whether they are copies.

All chests look alike until they are aligned: then ribs, vessels and noise fall together in a copy and nowhere else.
Three steps on thumbnails. A coarse search over shifts and stretches by Fourier transform; refinement to an affine
map by the enhanced correlation coefficient (Evangelidis and Psarakis 2008, as OpenCV has it); then the correlation of
fine, locally normalised detail over the part that both films show, which neither window nor crop changes much.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from raydino.curation.kmeans import F32, I64
from raydino.curation.thumbnails import SIDE, Thumbnails
from raydino.tracking import track

LEAST_OVERLAP = 0.6  # of the first film's area; two films that share less are not compared

_COARSE = 32
_MOST_SHIFT = 5  # coarse pixels, 16 % of the side
_STRETCHES = tuple(product((0.9, 0.95, 1.0, 1.05, 1.11), repeat=2))  # along x, along y
_FINE_SIGMA, _SMOOTH_SIGMA, _COARSE_SIGMA = 2.0, 4.0, 2.5
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 25, 1e-4)
_EVERYWHERE = np.ones((SIDE, SIDE), np.float32)
_MARGIN = np.ones((5, 5), np.uint8)  # the detail next to a film's edge knows the edge
_PAIRS_A_TASK = 256
_HOPELESS = 0.65  # smooth correlation at the coarse place: no recoded film of two archives had below 0.74


@dataclass(frozen=True)
class _Layers:
    """What is compared of a thumbnail: ``coarse`` [32, 32] to find it, ``smooth`` to align it, ``fine`` to judge it."""

    coarse: F32
    smooth: F32
    fine: F32

    @classmethod
    def of(cls, picture: npt.NDArray[np.uint8]) -> _Layers:
        values = np.asarray(picture, np.float32) / np.float32(255)
        coarse = cv2.resize(values, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(values, (0, 0), 1.0)
        return cls(
            _local_detail(np.asarray(coarse, np.float32), _COARSE_SIGMA),
            _local_detail(np.asarray(soft, np.float32), _SMOOTH_SIGMA),
            _local_detail(values, _FINE_SIGMA),
        )


def registered_similarities(first: Thumbnails, second: Thumbnails, pairs: I64) -> F32:
    """[M] correlations in -1…1 of the films that ``pairs`` [M, 2] names: a row of ``first``, a row of ``second``.

    -1 where the films share less than 60 % of the first one. The pairs are best sorted by the first row. Threads share
    the work; the result doesn't depend on their number.
    """
    starts = range(0, len(pairs), _PAIRS_A_TASK)

    def work(start: int) -> F32:
        return _similarities(first, second, pairs[start : start + _PAIRS_A_TASK])

    with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1) as pool:
        parts = list(track(pool.map(work, starts), "laying films upon each other", total=len(starts)))
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _similarities(first: Thumbnails, second: Thumbnails, pairs: I64) -> F32:
    result = np.empty(len(pairs), np.float32)
    current = -1
    for number, (row, other) in enumerate(pairs.tolist()):
        if row != current:
            current, layers = row, _Layers.of(first[row])
            spectra = _stretched_spectra(layers.coarse)
        result[number] = _registered(layers, spectra, _Layers.of(second[other]))
    return result


def _registered(one: _Layers, spectra: npt.NDArray[np.complex64], other: _Layers) -> float:
    """The better of the coarse place and the refined one: refinement can lose its way."""
    start = _coarse_place(spectra, other.coarse)
    best = _overlap_correlation(one.fine, other.fine, start)
    if _overlap_correlation(one.smooth, other.smooth, start) < _HOPELESS:
        return best
    try:
        _, refined = cv2.findTransformECC(
            one.smooth, other.smooth, start.copy(), cv2.MOTION_AFFINE, _STOP, np.empty(0, np.uint8), 3
        )
    except cv2.error:  # no way leads up from here
        return best
    return max(best, _overlap_correlation(one.fine, other.fine, np.asarray(refined, np.float32)))


def _local_detail(values: F32, sigma: float) -> F32:
    """What differs from the surroundings, divided by how much that is usual there."""
    detail = values - cv2.GaussianBlur(values, (0, 0), sigma)
    return np.asarray(detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), sigma)) + 0.01), np.float32)


def _window() -> F32:
    ramp = np.hanning(_COARSE + 2)[1:-1]
    return np.outer(ramp, ramp).astype(np.float32)


_WINDOW = _window()


def _stretched_spectra(coarse: F32) -> npt.NDArray[np.complex64]:
    """Conjugate spectra of the picture, stretched about its centre in each way."""
    centre = (_COARSE - 1) / 2
    views = np.empty((len(_STRETCHES), _COARSE, _COARSE), np.float32)
    for view, (x, y) in zip(views, _STRETCHES, strict=True):
        grid = np.array([[x, 0, centre * (1 - x)], [0, y, centre * (1 - y)]], np.float32)
        size = (_COARSE, _COARSE)
        view[:] = cv2.warpAffine(coarse, grid, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    views *= _WINDOW
    views /= np.linalg.norm(views, axis=(1, 2), keepdims=True) + 1e-9
    return np.conj(fft.rfft2(views))  # type: ignore[no-any-return]


def _coarse_place(spectra: npt.NDArray[np.complex64], coarse: F32) -> F32:
    """[2, 3]: where a pixel of the first thumbnail lies in the other, by the best shift of the best stretch."""
    products = fft.irfft2(spectra * fft.rfft2(coarse * _WINDOW), s=(_COARSE, _COARSE))
    reach = np.r_[0 : _MOST_SHIFT + 1, -_MOST_SHIFT:0]
    near = products[:, reach][:, :, reach]
    which, down, right = np.unravel_index(int(near.argmax()), near.shape)
    x, y = (1 / stretch for stretch in _STRETCHES[which])
    centre, step = (SIDE - 1) / 2, SIDE / _COARSE
    return np.array(
        [[x, 0, centre * (1 - x) + step * reach[right]], [0, y, centre * (1 - y) + step * reach[down]]], np.float32
    )


def _overlap_correlation(one: F32, other: F32, place: F32) -> float:
    """Pearson's correlation over the pixels of ``one`` that lie well inside ``other``; -1 where they are too few."""
    size, inverse = (SIDE, SIDE), cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(other, place, size, flags=cv2.INTER_CUBIC | inverse)
    inside = cv2.warpAffine(_EVERYWHERE, place, size, flags=cv2.INTER_NEAREST | inverse)
    shared = cv2.erode(inside, _MARGIN, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0.5
    if shared.mean() < LEAST_OVERLAP:
        return -1.0
    x, y = one[shared], laid[shared]
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip((x * y).sum() / (np.linalg.norm(x) * np.linalg.norm(y) + 1e-9), -1, 1))
