"""``crop``: random crops without rescaling and without photometric changes (2406.09294, "Crop").

The film is resized once, to ``shorter_side``; global and local crops are cut from it as they lie.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from raydino.config import Config
from raydino.data.augment import Image, Views
from raydino.data.augment.geometry import random_crop, resize_shorter_side


class Crop(Config):
    """Sizes in pixels. 2 global crops and ``n_locals`` local ones a film."""

    shorter_side: int = Field(gt=0)
    global_size: int = Field(gt=0)
    local_size: int = Field(gt=0)
    n_locals: int = Field(default=8, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> Crop:
        if max(self.global_size, self.local_size) > self.shorter_side:
            raise ValueError(f"crops of {self.global_size} and {self.local_size} do not fit into {self.shorter_side}")
        return self

    def __call__(self, image: Image, rng: np.random.Generator) -> Views:
        image = resize_shorter_side(image, self.shorter_side)
        global_crops = np.stack([random_crop(image, self.global_size, rng) for _ in range(2)])
        local_crops = [random_crop(image, self.local_size, rng) for _ in range(self.n_locals)]
        shape = (self.n_locals, 1, self.local_size, self.local_size)
        return Views(global_crops, np.reshape(np.asarray(local_crops, np.float32), shape))
