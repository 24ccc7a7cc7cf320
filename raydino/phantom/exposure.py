"""From attenuation to a displayed film: primary and scattered beam, noise, curve, border, marker.

``exposed_film`` gives brightness 0..1 as it is to be shown, 0 black. Sites differ in the numbers
only. Neighbours: frontal and lateral (before), stored_values (after).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from raydino.phantom.frontal import View
from raydino.phantom.geometry import Grid, Map, Mask
from raydino.phantom.sites import Site


@dataclass(frozen=True)
class Border:
    """Collimation: bare margins in mm (left, top, right, bottom), blackened by a shutter or not."""

    margins_mm: tuple[float, float, float, float]
    shuttered: bool


def sample_border(rng: np.random.Generator, site: Site) -> Border:
    """Draw the collimation of one film; most films have none to speak of."""
    if rng.random() < 0.55:
        return Border((0.0, 0.0, 0.0, 0.0), False)
    left, top, right, bottom = (float(m) for m in rng.uniform(0.0, 16.0, 4))
    return Border((left, top, right, bottom), bool(rng.random() < site.shutter_share))


def exposed_film(grid: Grid, view: View, site: Site, border: Border, marker: str, rng: np.random.Generator) -> Map:
    """Brightness as displayed, [rows, cols], 0..1, with ``marker`` (L or R) burned in on its side."""
    primary = np.exp(-view.attenuation)
    scatter = grid.blur(primary, 38.0) * np.float32(site.scatter_to_primary)
    signal = -np.log(primary + scatter)
    lung_level, dense_level = _anchors(signal, view.lungs)
    dose = rng.uniform(0.8, 1.25)  # automatic exposure is never quite the same
    grains = rng.standard_normal(signal.shape, dtype=np.float32)
    fewer_quanta = np.exp(0.5 * np.clip(signal - lung_level, -1.5, 4.0))
    signal = signal + grains * fewer_quanta * np.float32(site.noise / np.sqrt(dose))
    tone = 0.22 + (signal - lung_level) * np.float32(0.68 / max(float(dense_level - lung_level), 0.5))
    tone = tone + np.float32(site.detail_gain) * (tone - grid.blur(tone, 7.0))
    tone = np.clip(tone, 0.0, 1.15)
    bright = np.power(tone, np.float32(site.toe)) / (0.08 + np.power(tone, np.float32(site.toe))) * 1.08
    bright = 0.35 * bright * tone + 0.65 * tone if site.detail_gain > 0.4 else 0.95 * tone
    bright = _collimated(grid, np.clip(bright, 0.0, 1.0), border)
    return _marked(grid, bright.astype(np.float32), site, border, marker, rng)


def _anchors(signal: Map, lungs: Mask) -> tuple[np.float32, np.float32]:
    """Typical signal of the lungs and of the densest parts, from every fourth pixel."""
    coarse = signal[::4, ::4]
    inside = coarse[lungs[::4, ::4] > 0]
    lung = np.percentile(inside, 35.0) if inside.size else np.percentile(coarse, 30.0)
    return np.float32(lung), np.float32(np.percentile(coarse, 97.0))


def _collimated(grid: Grid, bright: Map, border: Border) -> Map:
    left, top, right, bottom = border.margins_mm
    if max(border.margins_mm) <= 0.0:
        return bright
    across = np.arange(grid.cols) * grid.spacing_mm
    down = np.arange(grid.rows) * grid.spacing_mm
    wide, tall = grid.cols * grid.spacing_mm, grid.rows * grid.spacing_mm
    x = np.clip(np.minimum(across - left, wide - right - across) / 2.0, 0.0, 1.0).astype(np.float32)
    y = np.clip(np.minimum(down - top, tall - bottom - down) / 2.0, 0.0, 1.0).astype(np.float32)
    seen = y[:, None] * x[None, :]
    return bright * seen + (0.0 if border.shuttered else 0.93) * (1.0 - seen)


def _marked(grid: Grid, bright: Map, site: Site, border: Border, marker: str, rng: np.random.Generator) -> Map:
    """The lead letter at the top: L at the image's right, R at its left, as on a film hung for reading."""
    height = (15.0 if site.tall_marker else 11.0) / grid.spacing_mm
    face = cv2.FONT_HERSHEY_SIMPLEX if site.tall_marker else cv2.FONT_HERSHEY_DUPLEX
    scale = height / 22.0
    inset = 12.0 + max(border.margins_mm) + rng.uniform(0.0, 14.0)
    x = inset / grid.spacing_mm
    if marker == "L":
        x = grid.cols - x - height * 0.8
    y = (34.0 + max(border.margins_mm) + rng.uniform(0.0, 26.0)) / grid.spacing_mm
    ink: npt.NDArray[np.uint8] = np.zeros((grid.rows, grid.cols), np.uint8)
    cv2.putText(ink, marker, (int(x), int(y)), face, scale, 255, max(2, round(scale * 2.5)), cv2.LINE_AA)
    cover = ink.astype(np.float32) / 255.0
    return bright * (1.0 - cover) + 0.98 * cover
