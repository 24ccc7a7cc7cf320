"""Overlap and surface distances of one predicted mask, through MONAI.

Both masks empty: full overlap, distances 0. One of them empty: overlap 0, distances undefined (None).
Unknown pixel spacing: distances undefined.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance


class MaskMetrics(NamedTuple):
    """Dice and intersection over union in 0..1; Hausdorff 95 % and average symmetric surface distance in mm."""

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
    predicted_11, reference_11 = (
        torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (predicted, reference)
    )
    with warnings.catch_warnings():  # MONAI 1.6 calls its own deprecated argument
        warnings.filterwarnings("ignore", category=FutureWarning, module="monai")
        hd95 = compute_hausdorff_distance(
            predicted_11, reference_11, include_background=True, percentile=95, spacing=spacing_mm
        )
        assd = compute_average_surface_distance(
            predicted_11, reference_11, include_background=True, symmetric=True, spacing=spacing_mm
        )
    return MaskMetrics(dice, iou, float(hd95), float(assd))
