"""``crop_resize``: crops at random scales, no photometric changes (2406.09294, "Crop + Resize")."""

from __future__ import annotations

import numpy as np
from pydantic import model_validator

from raydino.data.augment.boxes import random_resized_boxes
from raydino.data.augment.multicrop import MultiCrop
from raydino.data.augment.plan import N_GLOBALS, Plan

Scale = tuple[float, float]


class CropResize(MultiCrop):
    """Scales are shares of the film's area; the defaults are DINOv2's. A box below the size is enlarged."""

    global_scale: Scale = (0.32, 1.0)
    local_scale: Scale = (0.05, 0.32)

    @model_validator(mode="after")
    def _ordered(self) -> CropResize:
        for low, high in (self.global_scale, self.local_scale):
            if not 0 < low <= high <= 1:
                raise ValueError(f"a scale must be two shares 0 < low <= high <= 1, not {low}, {high}")
        return self

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Plan:
        global_boxes = random_resized_boxes(shape, self.global_scale, N_GLOBALS, rng)
        local_boxes = random_resized_boxes(shape, self.local_scale, self.n_locals, rng)
        return Plan(shape, np.concatenate([global_boxes, local_boxes]))
