"""Block masking of patches (BEiT 2106.08254, as DINOv2 uses it for iBOT).

Half of the global crops are masked; the masked share of each is drawn from its own bin of
``ratio_min``..``ratio_max``, so that a batch always covers the whole range.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

MIN_BLOCK_PATCHES = 4
MAX_ASPECT = 1 / 0.3


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


def batch_masks(
    n_crops: int,
    grid: int,
    rng: np.random.Generator,
    *,
    probability: float = 0.5,
    ratio_min: float = 0.1,
    ratio_max: float = 0.5,
) -> npt.NDArray[np.bool_]:
    """[n_crops, grid²]; ``probability`` of the crops are masked, the others are all False."""
    masks = np.zeros((n_crops, grid * grid), bool)
    n_masked_crops = int(n_crops * probability)
    edges = np.linspace(ratio_min, ratio_max, n_masked_crops + 1)
    rows = rng.permutation(n_crops)[:n_masked_crops]
    for row, low, high in zip(rows, edges[:-1], edges[1:], strict=True):
        n_patches = max(1, int(grid * grid * rng.uniform(low, high)))
        masks[row] = block_mask(n_patches, grid, rng).ravel()
    return masks
