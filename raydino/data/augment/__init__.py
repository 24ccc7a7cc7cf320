"""Augmentation policies: one object a policy, one policy a file, never a growing list of flags.

A policy works in two parts. ``draw`` decides everything random about the views of a film from its size
alone: boxes, flips, factors, as plain arrays, a ``Plan``. ``render`` applies plans to pixels, in torch,
without randomness; so it gives the same views in a loader's worker and on the accelerator.

The four settings of "You don't need domain-specific data augmentations" (2406.09294, Figure 1):
``original``, ``shared``, ``crop_resize`` and ``crop``; and ``cxr``, the one made for chest films.
``raydino.testing.augmentation.check_augmentation`` checks a policy of your own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from raydino.registry import Registry


class Views(NamedTuple):
    """The views of B films, float32 in 0..1, crop-major: the first views of all films, then the second ones.

    global_crops [2B, 1, S, S], local_crops [L·B, 1, s, s].
    """

    global_crops: Tensor
    local_crops: Tensor


class Augmentation(Protocol):
    """What a policy has to offer. A plan is the policy's own; it must pickle, to travel from a worker."""

    global_size: int
    local_size: int
    n_locals: int

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Any:
        """A plan for the views of a film of ``shape`` (rows, cols)."""

    def render(self, films: Sequence[Tensor], plans: Sequence[Any]) -> Views:
        """The views of films [rows, cols], uint8, uint16 or float in 0..1, on the films' device."""


AUGMENTATIONS = Registry(
    "augmentation policy",
    "raydino.augmentations",
    {
        "original": "raydino.data.augment.original:Original",
        "shared": "raydino.data.augment.shared:Shared",
        "crop_resize": "raydino.data.augment.crop_resize:CropResize",
        "crop": "raydino.data.augment.crop:Crop",
        "cxr": "raydino.data.augment.cxr:Cxr",
    },
)
