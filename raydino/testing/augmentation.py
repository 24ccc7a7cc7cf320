"""Check an augmentation policy, ours or a third party's, against what the loader and the recipes rely on."""

from __future__ import annotations

import pickle

import numpy as np
import numpy.typing as npt
import torch

from raydino.data.augment import Augmentation, Views
from raydino.data.augment.plan import N_GLOBALS

_SHAPES = ((96, 80), (80, 96), (40, 200), (12, 9))  # upright, lying, long, smaller than any crop


def check_augmentation(policy: Augmentation, *, tolerance: float = 1e-5) -> None:
    """Raise AssertionError with one sentence where ``policy`` breaks a rule of the protocol.

    Shapes, type and range of views of 8- and 16-bit films of several sizes, blank ones too; the same generator
    gives the same views and another one others; plans pickle; a film's views do not depend on the films beside it;
    films stay as they were.
    """
    name = type(policy).__name__
    films = [_film(shape, dtype) for shape in _SHAPES for dtype in (np.uint8, np.uint16)]
    films.append(np.zeros((64, 64), np.uint8))
    alone = [_views(policy, [film], seeds=[number]) for number, film in enumerate(films)]
    for film, views in zip(films, alone, strict=True):
        _check_one(policy, views, f"{name} on a film of {film.shape}, {film.dtype}")
    copies = [film.copy() for film in films]
    together = _views(policy, films, seeds=range(len(films)))
    for film, copy in zip(films, copies, strict=True):
        assert np.array_equal(film, copy), f"{name} changes the film that it is given"
    for number, views in enumerate(alone):
        for crops, all_crops in zip(views, together, strict=True):
            mine = all_crops[number :: len(films)]
            near = mine.shape == crops.shape and torch.allclose(mine, crops, rtol=0, atol=tolerance)
            assert near, f"{name}: a film's views depend on the batch, or are not crop-major"
    again = _views(policy, films, seeds=range(len(films)))
    assert _equal(again, together), f"{name} draws from something else than the generator that it is given"
    other = _views(policy, films, seeds=range(100, 100 + len(films)))
    assert not _equal(other, together), f"{name} gives the same views whatever the generator"


def _film(shape: tuple[int, int], dtype: type[np.uint8 | np.uint16]) -> npt.NDArray[np.uint8 | np.uint16]:
    top = np.iinfo(dtype).max
    return np.random.default_rng(shape).integers(0, top, shape, dtype, endpoint=True)


def _views(policy: Augmentation, films: list[npt.NDArray[np.uint8 | np.uint16]], seeds: range | list[int]) -> Views:
    plans = []
    for film, seed in zip(films, seeds, strict=True):
        rows, cols = film.shape
        plan = policy.draw((rows, cols), np.random.default_rng(seed))
        plans.append(pickle.loads(pickle.dumps(plan)))  # noqa: S301  # our own bytes: plans travel from workers
    return policy.render([torch.from_numpy(film) for film in films], plans)


def _check_one(policy: Augmentation, views: Views, who: str) -> None:
    for crops, n, size in zip(
        views, (N_GLOBALS, policy.n_locals), (policy.global_size, policy.local_size), strict=True
    ):
        assert crops.shape == (n, 1, size, size), (
            f"{who}: views of shape {tuple(crops.shape)}, not {(n, 1, size, size)}"
        )
        assert crops.dtype == torch.float32, f"{who}: views of {crops.dtype}, not float32"
        inside = bool(torch.isfinite(crops).all() and (crops >= 0).all() and (crops <= 1).all())
        assert inside, f"{who}: values outside 0..1"


def _equal(one: Views, other: Views) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
