"""Soft parts of a frontal film as thickness maps in mm along the beam: body, lungs, heart, vessels.

The lungs are volumes of air out of which heart, mediastinum and diaphragm take their share, so that
overlaps come out as on a real film. Skeleton adds bone, lesions changes the air, frontal sums up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raydino.phantom.geometry import Grid, Map, ellipse, smooth_curve, tube
from raydino.phantom.layout import LEFT, SIDES, FrontalLayout


@dataclass
class SoftParts:
    """Maps of one frontal film, [rows, cols]."""

    body: Map  # all tissue within the skin, as if there were no air, mm
    air: Map  # lung volume along the beam, mm
    gas: Map  # windpipe, stomach and bowel gas, mm
    lungs: dict[int, Map]  # visible lung field of each side, 0..1, whatever fills it
    heart: Map  # cardiac silhouette, 0..1


def soft_parts(grid: Grid, layout: FrontalLayout, rng: np.random.Generator) -> SoftParts:
    """Body, lungs and heart of one film."""
    heart = grid.cover([layout.heart])
    central = central_thickness(grid, layout, heart)
    air, lungs = _lungs(grid, layout, heart, central)
    return SoftParts(
        body=grid.from_coarser(_body(grid.coarser(), layout)),
        air=air,
        gas=_windpipe(grid, layout) + _belly_gas(grid, layout, rng),
        lungs=lungs,
        heart=heart,
    )


def central_thickness(grid: Grid, layout: FrontalLayout, heart: Map) -> Map:
    """Heart, great vessels and mediastinum along the beam, mm."""
    anatomy = layout.anatomy
    depth = anatomy.lung_depth_mm
    silhouette = grid.cover([layout.mediastinum(), *layout.great_vessels(), layout.heart])
    column = grid.chord(silhouette, 15.0) * 0.50 * depth
    thickness = np.maximum(column, grid.chord(heart, 55.0) * (0.55 * depth + 0.35 * layout.half_width * layout.ctr))
    knob_x, knob_y = layout.knob
    bow = anatomy.unfolding_mm
    aorta = smooth_curve(
        [(knob_x, knob_y), (knob_x - 3 + 0.3 * bow, layout.at(0.5)), (14 + bow, layout.at(0.75)), (6, layout.at(1.2))]
    )
    descending = grid.chord(grid.cover([tube(aorta, 12.0)]), 12.0) * 24.0
    return thickness + descending


def _lungs(grid: Grid, layout: FrontalLayout, heart: Map, central: Map) -> tuple[Map, dict[int, Map]]:
    x, y = grid.x, grid.y
    depth = layout.anatomy.lung_depth_mm
    envelope = {side: grid.cover([layout.envelope(side)]) for side in SIDES}
    # Thinner at the top of the chest, full from a third of its height on.
    taper = np.clip((y - layout.apex_y) / (0.42 * layout.height), 0.0, 1.0).astype(np.float32)
    full = grid.chord(envelope[SIDES[0]], 50.0) + grid.chord(envelope[SIDES[1]], 50.0)
    air = full * (depth * (0.42 + 0.58 * np.sqrt(taper)))
    fields = {}
    recess = grid.zeros()
    outside = 1.0 - np.clip(np.maximum(heart, grid.cover([layout.mediastinum()])), 0.0, 1.0)
    for side in SIDES:
        half = envelope[side]
        below = y - layout.diaphragm(side, x)
        above = np.clip(0.5 - below / grid.spacing_mm, 0.0, 1.0)
        # Behind and before the dome a thinning wedge of lung reaches further down.
        wedge = 0.62 * (1.0 - np.sqrt(np.clip(below / 20.0, 0.0, 1.0))) + 0.38 * (
            1.0 - np.sqrt(np.clip(below / 75.0, 0.0, 1.0))
        )
        wedge = wedge * np.clip((np.abs(x) - 0.15 * layout.half_width) / (0.6 * layout.half_width), 0.0, 1.0)
        recess += half * (above + (1.0 - above) * wedge)
        fields[side] = half * above * outside
    air = np.clip(air * np.minimum(recess, 1.0) - central, 0.0, None)
    return air.astype(np.float32), fields


def _body(grid: Grid, layout: FrontalLayout) -> Map:
    """Everything within the skin: neck, shoulders, trunk, arms and breasts, mm."""
    anatomy = layout.anatomy
    x, y = np.abs(grid.x), grid.y
    wide = layout.half_width + anatomy.wall_mm
    shoulder = layout.apex_y + 6.0 - 4.0 * anatomy.shoulder_slope
    levels = [-60, shoulder - 45, shoulder - 14, shoulder + 4, shoulder + 32, layout.at(0.5), layout.at(0.9), 520]
    widths = [54, 58, 92, 165, wide + 75, wide + 42, wide + 12, wide + 2 + 0.4 * anatomy.fat_mm]
    edge = np.interp(y[:, 0], levels, widths).astype(np.float32)[:, None]
    depth = np.interp(
        y[:, 0],
        [-60, shoulder - 20, layout.at(0.15), layout.at(0.5), layout.at(1.0), layout.at(1.35)],
        np.array([112, 118, 150, 178, 190, 196]) * anatomy.lung_depth_mm / 150 + 0.7 * anatomy.fat_mm,
    ).astype(np.float32)[:, None]
    edge = grid.blur(np.broadcast_to(edge, (grid.rows, grid.cols)).astype(np.float32), 9.0)
    trunk = depth * np.power(np.clip(1.0 - np.power(x / edge, 3.6), 0.0, 1.0), 0.42)
    arms = grid.zeros()
    lift = 30.0 * layout.pose.shoulders_forward
    for side in SIDES:
        bone = smooth_curve(
            [(side * (wide + 12), shoulder + 40), (side * (wide + 40), shoulder + 90), (side * (wide + 46 + lift), 520)]
        )
        arms = np.maximum(arms, grid.chord(grid.cover([tube(bone, 42.0)]), 42.0) * 80.0)
    return (np.maximum(trunk, arms) + _breasts(grid, layout)).astype(np.float32)


def _breasts(grid: Grid, layout: FrontalLayout) -> Map:
    anatomy = layout.anatomy
    added = grid.zeros()
    radius = anatomy.breast_radius_mm
    for side in SIDES:
        middle = side * 0.60 * layout.half_width + 0.5 * layout.pose.turn_mm
        if anatomy.breast_mm > 0.0:
            y = layout.at(0.80) + 4.0 * side
            shape = ellipse(middle, y, radius, radius * 0.92)
            fall = np.clip((grid.y - (y - radius)) / (1.5 * radius), 0.0, 1.0)  # heavier towards the lower edge
            added += grid.chord(grid.cover([shape]), radius) * anatomy.breast_mm * np.sqrt(fall)
        else:
            y = layout.at(0.40)
            shape = ellipse(middle + side * 14.0, y, 62.0, 52.0, tilt_deg=-side * 30.0)
            added += grid.chord(grid.cover([shape]), 58.0) * 9.0
    return added.astype(np.float32)


def _windpipe(grid: Grid, layout: FrontalLayout) -> Map:
    """Trachea and main bronchi, mm of air."""
    lean = -3.0 - 0.25 * layout.anatomy.unfolding_mm + 0.5 * layout.pose.turn_mm
    carina = (lean, layout.at(0.375))
    pipes = [smooth_curve([(0.0, -10.0), (0.0, layout.at(0.0)), (lean, layout.at(0.27)), carina])]
    widths = [8.0]
    for side in SIDES:
        x, y = layout.hilum(side)
        pipes.append(smooth_curve([carina, (0.55 * x + 0.45 * lean, 0.5 * (carina[1] + y) - 1.0), (0.9 * x, y)]))
        widths.append(5.5)
    air = grid.zeros()
    for pipe, width in zip(pipes, widths, strict=True):
        air = np.maximum(air, grid.chord(grid.cover([tube(pipe, width)]), width) * 2.0 * width)
    return air


def _belly_gas(grid: Grid, layout: FrontalLayout, rng: np.random.Generator) -> Map:
    """The stomach bubble with its fluid level, and some gas in the bowel."""
    size = layout.anatomy.bubble_mm * rng.uniform(0.7, 1.2)
    gas = grid.zeros()
    if size > 5.0:
        x, top = 0.42 * layout.half_width, layout.dome_y(LEFT) + 11.0
        bubble = grid.cover([ellipse(x, top + size, 1.25 * size, size)])
        gas += grid.chord(bubble * (grid.y < top + 1.25 * size), size) * size * 1.1
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(-0.8, 0.9) * layout.half_width, layout.at(1.0) + rng.uniform(60.0, 120.0)
        radius = rng.uniform(7.0, 15.0)
        gas += grid.chord(grid.cover([ellipse(x, y, radius * 1.4, radius)]), radius) * radius * 0.8
    return gas
