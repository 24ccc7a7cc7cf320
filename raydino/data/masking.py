"""Block masking of patches (BEiT 2106.08254, as DINOv2 uses it for iBOT).

Half of the global crops are masked; the masked share of each is drawn from its own bin of
``ratio_min``..``ratio_max``, so that a batch always covers the whole range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from raydino.config import Config

MIN_BLOCK_PATCHES = 4
MAX_ASPECT = 1 / 0.3


class Masking(Config):
    """``probability`` is the share of global crops that are masked: 0 masks none, as distillation wants it.

    ``ratio_min`` and ``ratio_max`` bound the share of a masked crop's patches.
    """

    probability: float = Field(default=0.5, ge=0, le=1)
    ratio_min: float = Field(default=0.1, ge=0, le=1)
    ratio_max: float = Field(default=0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Masking:
        if self.ratio_min > self.ratio_max:
            raise ValueError(f"ratio_min {self.ratio_min} is above ratio_max {self.ratio_max}")
        return self


def batch_masks(
    n_crops: int,
    grid: int,
    rng: np.random.Generator,
    masking: Masking = Masking(),
    *,
    only: Iterable[int] | None = None,
) -> npt.NDArray[np.bool_]:
    """Masks of a batch's ``n_crops`` global crops, [n_crops, grid²]; crops without a mask are all False.

    ``only`` picks crops: their rows, equal to those of the whole batch, without the work of the others.
    """
    n_masked = int(n_crops * masking.probability)
    edges = np.linspace(masking.ratio_min, masking.ratio_max, n_masked + 1)
    ratios = np.zeros(n_crops)
    ratios[rng.permutation(n_crops)[:n_masked]] = rng.uniform(edges[:-1], edges[1:])
    seeds = rng.integers(2**63, size=n_crops)  # a generator for each crop, so that it does not need the others'
    crops = range(n_crops) if only is None else list(only)
    masks = np.zeros((len(crops), grid * grid), bool)
    for row, crop in zip(masks, crops, strict=True):
        if ratios[crop] > 0:
            n_patches = max(1, int(grid * grid * ratios[crop]))
            row[:] = block_mask(n_patches, grid, np.random.default_rng(seeds[crop])).ravel()
    return masks


def block_mask(n_masked: int, grid: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """[grid, grid] with exactly ``n_masked`` True patches, mostly in rectangles.

    Rectangles are drawn until they no longer fit; the rest is filled with single random patches.
    """
    mask = np.zeros((grid, grid), bool)
    failures = 0
    while mask.sum() < n_masked and failures < 10:
        if not _add_block(mask, n_masked - int(mask.sum()), rng):
            failures += 1
    free = np.flatnonzero(~mask.ravel())
    missing = n_masked - int(mask.sum())
    mask.ravel()[rng.choice(free, size=missing, replace=False)] = True
    return mask


def _add_block(mask: npt.NDArray[np.bool_], at_most: int, rng: np.random.Generator) -> bool:
    """Try one rectangle that adds 1..``at_most`` patches; False when it did not fit."""
    grid = len(mask)
    area = rng.uniform(min(MIN_BLOCK_PATCHES, at_most), at_most)
    aspect = math.exp(rng.uniform(-math.log(MAX_ASPECT), math.log(MAX_ASPECT)))
    rows, cols = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    if not (0 < rows <= grid and 0 < cols <= grid):
        return False
    top, left = int(rng.integers(grid - rows + 1)), int(rng.integers(grid - cols + 1))
    block = mask[top : top + rows, left : left + cols]
    added = block.size - int(block.sum())
    if not 0 < added <= at_most:
        return False
    block[:] = True
    return True
