"""Findings drawn into the thickness maps of a frontal film, each with its mask.

Fluid and consolidation replace air by tissue, a pneumothorax empties a rim of lung, a nodule adds a
sphere of tissue. The planted bias lives here as one factor: how much of an effusion is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from raydino.phantom.findings import Consolidation, Effusion, Findings, Nodule, Pneumothorax
from raydino.phantom.geometry import Grid, Map
from raydino.phantom.layout import RIGHT, FrontalLayout
from raydino.phantom.thorax import SoftParts
from raydino.phantom.vessels import grow_tree, place_tree

MASK_NAMES = ("pleural_effusion", "pneumothorax", "consolidation", "nodule")


@dataclass
class Lesions:
    """What findings change on one frontal film, [rows, cols]."""

    opaque: Map  # share of the lung's air that is replaced by fluid or exudate, 0..1
    emptied: Map  # pneumothorax: region without lung tissue, 0..1
    added_mm: Map  # tissue added, mm
    masks: dict[str, Map] = field(default_factory=dict)


def draw_lesions(
    grid: Grid, layout: FrontalLayout, parts: SoftParts, findings: Findings, *, effusion_contrast: float
) -> Lesions:
    """All findings of a study on one film. ``effusion_contrast`` 1 draws fluid as dense as it is."""
    lesions = Lesions(grid.zeros(), grid.zeros(), grid.zeros())
    for effusion in findings.effusions:
        wet, mask = _fluid(grid, layout, parts, effusion)
        lesions.opaque = _either(lesions.opaque, wet * np.float32(effusion_contrast))
        _add_mask(lesions, "pleural_effusion", mask)
    for consolidation in findings.consolidations:
        dense, mask = _exudate(grid, layout, parts, consolidation)
        lesions.opaque = _either(lesions.opaque, dense)
        _add_mask(lesions, "consolidation", mask)
    if findings.pneumothorax is not None:
        lesions.emptied, line = _air_rim(grid, layout, parts, findings.pneumothorax)
        lesions.added_mm += line
        _add_mask(lesions, "pneumothorax", lesions.emptied)
    for nodule in findings.nodules:
        ball = _ball(grid, layout, nodule)
        lesions.added_mm += ball * np.float32(nodule.diameter_mm)
        _add_mask(lesions, "nodule", (ball > 0.0).astype(np.float32))
    return lesions


def _either(a: Map, b: Map) -> Map:
    return np.asarray(1.0 - (1.0 - a) * (1.0 - b), np.float32)


def _add_mask(lesions: Lesions, name: str, mask: Map) -> None:
    known = lesions.masks.get(name)
    lesions.masks[name] = mask if known is None else np.maximum(known, mask)


def _fluid(grid: Grid, layout: FrontalLayout, parts: SoftParts, effusion: Effusion) -> tuple[Map, Map]:
    """Fluid share and mask: a concave meniscus that climbs the chest wall."""
    side = effusion.side
    away = grid.x * side
    wall = layout.wall_x(grid.y[:, 0]).astype(np.float32)[:, None]
    from_wall = np.clip(wall - away, 0.0, None)
    climb = 0.42 * effusion.height_mm
    surface = layout.angle_y(side) - effusion.height_mm + climb * (1.0 - np.exp(-from_wall / 22.0))
    surface -= 0.25 * climb * np.exp(-np.clip(away - 20.0, 0.0, None) / 16.0)
    below = grid.y - surface
    share = np.clip(0.42 + 0.58 * np.clip(below / 20.0, 0.0, 1.0), 0.0, 1.0) * (below > 0.0)
    half = (away > 0.0).astype(np.float32)
    share = grid.blur((share * half).astype(np.float32), 2.0)
    return share, parts.lungs[side] * (below > 0.0)


def _exudate(grid: Grid, layout: FrontalLayout, parts: SoftParts, spot: Consolidation) -> tuple[Map, Map]:
    """Opacity and mask: soft and ragged, cut off sharply at the horizontal fissure, with air bronchograms."""
    rng = np.random.default_rng(spot.seed)
    side = spot.side
    x = spot.side * spot.u * layout.half_width
    y = layout.at(spot.v)
    radius = np.sqrt(((grid.x - x) / spot.wide_mm) ** 2 + ((grid.y - y) / spot.tall_mm) ** 2)
    ragged = radius + 0.16 * grid.noise(rng, 26.0) + 0.09 * grid.noise(rng, 9.0)
    dense = 1.0 / (1.0 + np.exp(np.clip((ragged - 1.0) * 6.0, -40.0, 40.0)))
    if side == RIGHT and spot.lobe in ("upper", "middle"):
        fissure = layout.at(0.50) + 0.04 * (grid.x - x)
        beyond = (grid.y - fissure) if spot.lobe == "upper" else (fissure - grid.y)
        dense = dense * np.clip(1.0 - beyond / 2.0, 0.0, 1.0)
    mask = parts.lungs[side] * (dense > 0.5)
    tree = grow_tree(rng, side)
    starts, ends = place_tree(tree, layout, side)
    bronchi = grid.draw_lines(starts, ends, tree.calibre_mm * 0.55, np.clip(tree.calibre_mm / 5.0, 0.0, 1.0))
    mottled = np.clip(1.0 + 0.10 * grid.noise(rng, 4.0), 0.7, 1.2)
    share = spot.density * dense * mottled * (1.0 - 0.45 * grid.blur(bronchi, 0.9))
    return np.clip(share, 0.0, 1.0).astype(np.float32), mask.astype(np.float32)


def _air_rim(grid: Grid, layout: FrontalLayout, parts: SoftParts, rim: Pneumothorax) -> tuple[Map, Map]:
    """Emptied region and the pleural line (mm of tissue) at the edge of the fallen lung."""
    outline = layout.envelope(rim.side)
    v = np.clip((outline[:, 1] - layout.apex_y) / layout.height, 0.0, 1.4)
    away = outline[:, 0] * rim.side
    # The lung falls down from the apex and in from the side, least near the diaphragm.
    inwards = rim.lateral_mm * np.interp(v, [0.0, 0.25, 0.8, 1.2], [0.9, 1.0, 0.55, 0.15])
    fallen_x = np.where(
        away > 0.12 * layout.half_width, away - inwards * np.clip(away / layout.half_width, 0.3, 1), away
    )
    fallen_y = outline[:, 1] + rim.apex_mm * np.clip(1.0 - v / 0.75, 0.0, 1.0) ** 1.3
    lung = grid.cover([np.stack([rim.side * np.maximum(fallen_x, 4.0), fallen_y], axis=1)])
    region = parts.lungs[rim.side] * (1.0 - lung)
    edge = np.clip(4.0 * lung * (1.0 - grid.blur(lung, 1.1)), 0.0, 1.0) * parts.lungs[rim.side]
    return region.astype(np.float32), (edge * 5.0).astype(np.float32)


def _ball(grid: Grid, layout: FrontalLayout, nodule: Nodule) -> Map:
    """Relative thickness of a slightly lobed sphere."""
    x = nodule.side * nodule.u * float(layout.wall_x(layout.at(nodule.v)))
    y = layout.at(nodule.v)
    radius = 0.5 * nodule.diameter_mm
    distance = ((grid.x - x) ** 2 + (grid.y - y) ** 2) / radius**2
    return np.sqrt(np.clip(1.0 - distance, 0.0, 1.0)).astype(np.float32)
