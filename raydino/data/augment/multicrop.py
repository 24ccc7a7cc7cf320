"""What all policies have in common: two global and ``n_locals`` local views, and how a plan becomes pixels.

Sizes are changed by bicubic interpolation with antialiasing (a = -0.5), which is what PIL and so DINOv2
do, but in float: no grey level of a 16-bit film is lost. Weights reach as far as the box and no farther.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from raydino.config import Config
from raydino.data.augment import Views
from raydino.data.augment.photometric import apply_tones
from raydino.data.augment.plan import N_GLOBALS, Ints, Plan, Tones

T = TypeVar("T", bound=np.generic)
_TOP = {torch.uint8: 255.0, torch.uint16: 65535.0}


class MultiCrop(Config):
    """Sizes of the views in pixels."""

    global_size: int = Field(ge=8)
    local_size: int = Field(ge=8)
    n_locals: int = Field(default=8, ge=0)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Plan:
        """The views of a film of ``shape``."""
        raise NotImplementedError

    def render(self, films: Sequence[Tensor], plans: Sequence[Plan]) -> Views:
        """The views of films [rows, cols], each with its plan, on the films' device."""
        resized = [resize(unit_range(film), plan.film_shape) for film, plan in zip(films, plans, strict=True)]
        n_views = N_GLOBALS + self.n_locals
        return Views(
            _cut(resized, plans, range(N_GLOBALS), self.global_size),
            _cut(resized, plans, range(N_GLOBALS, n_views), self.local_size),
        )

    def __call__(self, film: npt.NDArray[np.uint8 | np.uint16], rng: np.random.Generator) -> Views:
        """The views of one film: global_crops [2, 1, S, S], local_crops [L, 1, s, s]."""
        rows, cols = film.shape
        writable = np.require(film, requirements="W")  # a cached film is not, and PyTorch warns of it
        return self.render([torch.from_numpy(writable)], [self.draw((rows, cols), rng)])


def unit_range(film: Tensor) -> Tensor:
    """[rows, cols] of integers over their whole range as float32 in 0..1; floats stay as they are."""
    return film if film.is_floating_point() else film.float().div_(_TOP[film.dtype])


def resize(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """[rows, cols] of floats → ``shape``, antialiased bicubic, which may leave the range by a little."""
    if tuple(image.shape) == tuple(shape):
        return image
    return F.interpolate(image[None, None], size=tuple(shape), mode="bicubic", antialias=True)[0, 0]


def _cut(films: Sequence[Tensor], plans: Sequence[Plan], views: range, size: int) -> Tensor:
    """The given views of all films, crop-major, [views · films, 1, size, size]."""
    if len(views) == 0:
        return films[0].new_empty((0, 1, size, size))
    boxes = [_box(film, plan.boxes[view], size) for view in views for film, plan in zip(films, plans, strict=True)]
    cut = torch.stack(boxes)[:, None].clamp_(0, 1)
    flips = [plan.flipped for plan in plans if plan.flipped is not None]
    if flips:
        rows = torch.from_numpy(np.flatnonzero(_crop_major(flips, views))).to(cut.device)
        cut[rows] = cut[rows].flip(-1)
    tones = [plan.tones for plan in plans if plan.tones is not None]
    if tones:
        apply_tones(cut, Tones(*(_crop_major(field, views) for field in zip(*tones, strict=True))))
    return cut


def _box(film: Tensor, box: Ints, size: int) -> Tensor:
    top, left, rows, cols = box.tolist()
    return resize(film[top : top + rows, left : left + cols], (size, size))


def _crop_major(arrays: Sequence[npt.NDArray[T]], views: range) -> npt.NDArray[T]:
    """A film's array [V] each → the given views of all films, [views · films]."""
    return np.stack(arrays, axis=1)[views.start : views.stop].ravel()
