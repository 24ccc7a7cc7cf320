"""Overlap and distances against a plain implementation: scipy's exact distance transform, in float64, full size."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt

from adapters.segmentation.metrics import MaskMetrics, mask_metrics

SHAPE = (61, 47)


def _plain(predicted: np.ndarray, reference: np.ndarray, spacing_mm: float | None) -> MaskMetrics:
    """A mask's surface: its pixels that have one outside among their four neighbours; beyond the film is outside."""
    size, union = predicted.sum() + reference.sum(), (predicted | reference).sum()
    dice = 2 * (predicted & reference).sum() / size if size else 1.0
    iou = (predicted & reference).sum() / union if union else 1.0
    if spacing_mm is None or bool(predicted.any()) != bool(reference.any()):
        return MaskMetrics(dice, iou, None, None)
    if not predicted.any():
        return MaskMetrics(dice, iou, 0.0, 0.0)
    surfaces = [mask & ~binary_erosion(mask) for mask in (predicted, reference)]
    to_other = [spacing_mm * distance_transform_edt(~other)[one] for one, other in (surfaces, surfaces[::-1])]
    hd95 = max(float(np.percentile(distances, 95)) for distances in to_other)
    return MaskMetrics(dice, iou, hd95, float(np.concatenate(to_other).mean()))


def _blobs(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((6, 5)) < 0.4
    return np.kron(coarse, np.ones((11, 10), bool))[: SHAPE[0], : SHAPE[1]]


def _mask(kind: str, seed: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    if kind == "blobs":
        return _blobs(seed)
    if kind == "noise":
        return np.random.default_rng(seed).random(SHAPE) < 0.3
    if kind == "full":
        return ~mask
    if kind == "pixel":
        mask[seed % SHAPE[0], (7 * seed) % SHAPE[1]] = True
    if kind == "border":
        mask[0, :] = mask[:, -1] = True
    return mask


KINDS = ("blobs", "noise", "full", "pixel", "border", "empty")


@pytest.mark.parametrize("predicted", KINDS)
@pytest.mark.parametrize("reference", KINDS)
def test_figures_are_those_of_a_plain_implementation(predicted: str, reference: str) -> None:
    for seed in range(3):
        one, other = _mask(predicted, seed), _mask(reference, seed + 40)
        for spacing_mm in (0.143, 1.0, None):
            expected = _plain(one, other, spacing_mm)
            found = mask_metrics(one, other, spacing_mm)
            for name, value in expected._asdict().items():
                assert getattr(found, name) == (None if value is None else pytest.approx(value, rel=1e-5, abs=1e-9))
