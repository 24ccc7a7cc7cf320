"""Takes one film of one patient: draws its pose and format, projects it, exposes it, stores it.

The single place where the parts of this package meet for a film. Neighbours: archive (which films,
which files).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raydino.phantom.anatomy import sample_pose
from raydino.phantom.demographics import Patient, Study
from raydino.phantom.exposure import exposed_film, sample_border
from raydino.phantom.frontal import frontal_view
from raydino.phantom.geometry import Grid, Map, Mask
from raydino.phantom.lateral import lateral_view
from raydino.phantom.layout import FrontalLayout
from raydino.phantom.sites import LAKESIDE, Site

PLANTED_FINDING = "Pleural Effusion"
PLANTED_SEX = "F"
PLANTED_SITE = LAKESIDE
PLANTED_CONTRAST = 0.1  # of an effusion's true density in the planted stratum


@dataclass(frozen=True)
class Film:
    """One film as displayed, with its truth."""

    brightness: Map  # [rows, cols], 0..1
    masks: dict[str, Mask]  # empty for lateral films
    spacing_mm: float
    marker: str
    effusion_contrast: float
    ctr: float  # cardiothoracic ratio on this film


def effusion_contrast(patient: Patient, *, planted_bias: bool) -> float:
    """How dense this patient's effusions are drawn: less in the planted stratum."""
    planted = planted_bias and patient.sex == PLANTED_SEX and patient.site == PLANTED_SITE
    return PLANTED_CONTRAST if planted else 1.0


def take_film(rng: np.random.Generator, patient: Patient, study: Study, view: str, *, planted_bias: bool) -> Film:
    """Take one film; the same generator state gives the same film with and without the bias."""
    grid_size, spacing_mm = _detector(rng, patient.site, view)
    rows, cols = grid_size
    pose = sample_pose(rng, view, rows * spacing_mm)
    layout = FrontalLayout(patient.anatomy, pose, study.findings.ctr)
    grid = Grid(rows, cols, spacing_mm, 0.5 * cols * spacing_mm + pose.shift_mm)
    contrast = effusion_contrast(patient, planted_bias=planted_bias)
    if view == "LATERAL":
        projected = lateral_view(grid, layout, study.findings, rng, effusion_contrast=contrast)
    else:
        projected = frontal_view(grid, layout, study.findings, rng, effusion_contrast=contrast)
    marker = "L" if view == "LATERAL" or rng.random() < 0.5 else "R"
    border = sample_border(rng, patient.site)
    brightness = exposed_film(grid, projected, patient.site, border, marker, rng)
    return Film(
        brightness, projected.masks, spacing_mm, marker, contrast, study.findings.ctr * pose.heart_magnification
    )


def _detector(rng: np.random.Generator, site: Site, view: str) -> tuple[tuple[int, int], float]:
    """Rows and columns, and the pixel spacing that makes them fill the detector."""
    fields = [(350, 430)] if view == "LATERAL" else site.fields_mm
    width, height = fields[int(rng.integers(len(fields)))]
    short = site.short_side_px + int(rng.integers(-8, 9))
    spacing_mm = round(min(width, height) / short, 4)
    return (round(height / spacing_mm), round(width / spacing_mm)), spacing_mm
