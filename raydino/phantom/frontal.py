"""A frontal film as attenuation line integrals, with the masks of everything on it.

Attenuation along the beam = tissue + bone − air, from the maps of thorax, skeleton, vessels and
lesions. Exposure turns the result into a film. Lateral is the other view.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from raydino.phantom.findings import Findings
from raydino.phantom.geometry import Grid, Map, Mask
from raydino.phantom.layout import FrontalLayout
from raydino.phantom.lesions import draw_lesions
from raydino.phantom.skeleton import bones
from raydino.phantom.thorax import soft_parts
from raydino.phantom.vessels import vessels

# Effective values for a chest beam of about 110 kV after scatter rejection.
TISSUE_PER_MM = 0.0185
BONE_PER_MM = 0.034  # of bone mineral, over the tissue that it displaces
LUNG_DENSITY = 0.26  # of tissue


@dataclass
class View:
    """One projected view: line integrals, the lungs for exposure control, and masks."""

    attenuation: Map  # dimensionless, 0 in bare air
    lungs: Mask
    masks: dict[str, Mask]  # by structure or finding


def frontal_view(
    grid: Grid, layout: FrontalLayout, findings: Findings, rng: np.random.Generator, *, effusion_contrast: float = 1.0
) -> View:
    """Project one patient from front to back (or back to front: the picture is the same)."""
    parts = soft_parts(grid, layout, rng)
    lesions = draw_lesions(grid, layout, parts, findings, effusion_contrast=effusion_contrast)
    aerated = parts.air * (1.0 - lesions.opaque)
    inside = np.clip(aerated / 45.0, 0.0, 1.0) * (1.0 - lesions.emptied)
    texture = 1.0 + 0.03 * grid.noise(rng, 2.2) + 0.03 * grid.noise(rng, 5.0) + 0.03 * grid.noise(rng, 13.0)
    parenchyma = LUNG_DENSITY * (1.0 - 0.75 * lesions.emptied) * (1.0 + (texture - 1.0) * (1.0 - lesions.emptied))
    tissue = parts.body - aerated * (1.0 - parenchyma) - parts.gas
    tissue += 0.85 * vessels(grid, layout) * inside + lesions.added_mm
    attenuation = (TISSUE_PER_MM * np.clip(tissue, 0.0, None) + BONE_PER_MM * bones(grid, layout)).astype(np.float32)
    shapes = {"lungs": np.maximum(*parts.lungs.values()), "heart": parts.heart, **lesions.masks}
    attenuation, masks = _tilted(attenuation, shapes, layout.pose.tilt_deg)
    if findings.cardiomegaly:
        masks["cardiomegaly"] = masks["heart"]
    return View(attenuation, masks["lungs"], masks)


def _tilted(attenuation: Map, shapes: dict[str, Map], angle_deg: float) -> tuple[Map, dict[str, Mask]]:
    """Line integrals and masks of a patient who stands askew."""
    rows, cols = attenuation.shape
    matrix = cv2.getRotationMatrix2D((cols / 2.0, rows / 2.0), angle_deg, 1.0)

    def turn(values: np.ndarray) -> np.ndarray:
        smooth = cv2.INTER_LINEAR if values.dtype == np.float32 else cv2.INTER_NEAREST
        return cv2.warpAffine(values, matrix, (cols, rows), flags=smooth, borderMode=cv2.BORDER_REPLICATE)

    masks = {name: turn(binary(shape)) for name, shape in shapes.items()}
    return turn(attenuation), masks


def binary(shape: np.ndarray) -> Mask:
    """0 or 255, from a shape of 0..1."""
    return np.where(shape > 0.5, 255, 0).astype(np.uint8)
