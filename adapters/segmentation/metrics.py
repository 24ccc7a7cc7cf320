"""Overlap and surface distances of one predicted mask; the distances through MONAI.

Both masks empty: full overlap, distances 0. One of them empty: overlap 0, distances undefined (None).
Unknown pixel spacing: distances undefined.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics.utils import get_edge_surface_distance


class MaskMetrics(NamedTuple):
    """Dice and intersection over union in 0..1; Hausdorff 95 % and average symmetric surface distance in mm.

    HD95 is the larger of the 95th percentiles of both directions, ASSD the mean over all surface pixels of both.
    """

    dice: float
    iou: float
    hd95_mm: float | None
    assd_mm: float | None


def mask_metrics(
    predicted: npt.NDArray[np.bool_], reference: npt.NDArray[np.bool_], spacing_mm: float | None
) -> MaskMetrics:
    """Both masks [rows, cols] of the stored film, whose pixels are squares of side ``spacing_mm``."""
    overlap = int((predicted & reference).sum())
    size, union = int(predicted.sum()) + int(reference.sum()), int((predicted | reference).sum())
    if not size:
        return MaskMetrics(1.0, 1.0, *((None, None) if spacing_mm is None else (0.0, 0.0)))
    dice, iou = 2 * overlap / size, overlap / union
    if spacing_mm is None or not predicted.any() or not reference.any():
        return MaskMetrics(dice, iou, None, None)
    box = _box_around(predicted | reference)
    one, other = (torch.from_numpy(np.pad(mask[box], 1)) for mask in (predicted, reference))
    with warnings.catch_warnings():  # MONAI 1.6 calls its own deprecated argument
        warnings.filterwarnings("ignore", category=FutureWarning, module="monai")
        _, to_other, _ = get_edge_surface_distance(one, other, spacing=spacing_mm, symmetric=True)
    there, back = (distances.double().numpy() for distances in to_other)
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return MaskMetrics(dice, iou, float(hd95), float(np.concatenate([there, back]).mean()))


def _box_around(mask: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest box that holds a mask: nothing outside it can lie on a surface."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
