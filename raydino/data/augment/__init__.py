"""Augmentation policies: one object a policy, one policy a file, never a growing list of flags.

A policy is a frozen config that is called with a film f32 [1, H, W] in 0..1 and a generator, and
returns ``Views``. The policies of "You don't need data augmentation" (2406.09294, Figure 1) that exist
here: ``crop`` (crops alone), ``crop_resize`` (crops at random scales), ``dinov2`` (the paper's
"original": crops at random scales with photometric changes).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from raydino.registry import Registry

Image = npt.NDArray[np.float32]


class Views(NamedTuple):
    """The views of one film: global crops [G, 1, S, S] and local crops [L, 1, s, s], float32 in 0..1."""

    global_crops: Image
    local_crops: Image


class Augmentation(Protocol):
    """What a policy has to offer."""

    global_size: int
    local_size: int
    n_locals: int

    def __call__(self, image: Image, rng: np.random.Generator) -> Views:
        """The views of one film [1, H, W]."""


AUGMENTATIONS = Registry(
    "augmentation policy",
    "raydino.augmentations",
    {
        "crop": "raydino.data.augment.crop:Crop",
        "crop_resize": "raydino.data.augment.crop_resize:CropResize",
        "dinov2": "raydino.data.augment.dinov2:DinoV2",
    },
)
