"""``crop_resize``: crops at random scales, no photometric changes (2406.09294, "Crop + Resize")."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from raydino.config import Config
from raydino.data.augment import Image, Views
from raydino.data.augment.geometry import random_resized_crop

Scale = tuple[float, float]


class CropResize(Config):
    """Sizes in pixels, scales as shares of the film's area. 2 global crops, ``n_locals`` local ones."""

    global_size: int = Field(gt=0)
    local_size: int = Field(gt=0)
    n_locals: int = Field(default=8, ge=0)
    global_scale: Scale = (0.32, 1.0)
    local_scale: Scale = (0.05, 0.32)

    @model_validator(mode="after")
    def _ordered(self) -> CropResize:
        for low, high in (self.global_scale, self.local_scale):
            if not 0 < low <= high <= 1:
                raise ValueError(f"a scale must be two shares 0 < low <= high <= 1, not {low}, {high}")
        return self

    def __call__(self, image: Image, rng: np.random.Generator) -> Views:
        global_crops = [random_resized_crop(image, self.global_size, self.global_scale, rng) for _ in range(2)]
        local_crops = [random_resized_crop(image, self.local_size, self.local_scale, rng) for _ in range(self.n_locals)]
        shape = (self.n_locals, 1, self.local_size, self.local_size)
        return Views(np.stack(global_crops), np.reshape(np.asarray(local_crops, np.float32), shape))
