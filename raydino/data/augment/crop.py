"""``crop``: random crops without rescaling and without photometric changes (2406.09294, "Crop").

The film is resized once, to ``shorter_side``; global and local crops are cut from it as they lie, so every
view shows anatomy at one scale. The side of the resize is the only way to choose which: a local crop covers
``(local_size / shorter_side)²`` of a square film. RayDINO's split at some 15 % of the area asks for 0.39 of the
side: 256 for crops of 98, 576 for 224 (which leaves room for globals of 512).
"""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from raydino.data.augment.boxes import random_boxes
from raydino.data.augment.multicrop import MultiCrop
from raydino.data.augment.plan import N_GLOBALS, Plan


class Crop(MultiCrop):
    """``shorter_side`` in pixels, after the one resize; a film that has it already is not interpolated at all."""

    shorter_side: int = Field(gt=0)

    @model_validator(mode="after")
    def _fits(self) -> Crop:
        if max(self.global_size, self.local_size) > self.shorter_side:
            raise ValueError(f"crops of {self.global_size} and {self.local_size} do not fit into {self.shorter_side}")
        return self

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Plan:
        scale = self.shorter_side / min(shape)
        rows, cols = (max(self.shorter_side, round(side * scale)) for side in shape)
        global_boxes = random_boxes((rows, cols), self.global_size, N_GLOBALS, rng)
        local_boxes = random_boxes((rows, cols), self.local_size, self.n_locals, rng)
        return Plan((rows, cols), np.concatenate([global_boxes, local_boxes]))
