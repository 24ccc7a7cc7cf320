"""A lateral film: the same patient from the side, front of the chest at the image's left.

Simpler than the frontal film, and without masks: body, lungs, heart, diaphragm, spine with its
discs, sternum, ribs, windpipe, raised arms, and the findings that a lateral film shows.
"""

from __future__ import annotations

import numpy as np

from raydino.phantom.findings import Findings
from raydino.phantom.frontal import BONE_PER_MM, LUNG_DENSITY, TISSUE_PER_MM, View, binary
from raydino.phantom.geometry import Grid, Map, Points, ellipse, smooth_curve, tube
from raydino.phantom.layout import LEFT, FrontalLayout


class LateralLayout:
    """Outlines from the side, mm: x from the middle of the chest, negative to the front."""

    def __init__(self, frontal: FrontalLayout) -> None:
        self.frontal = frontal
        self.anatomy = frontal.anatomy
        self.at = frontal.at
        self.depth = frontal.anatomy.lung_depth_mm * 1.28  # front to back of the chest's inside
        self.front = -0.5 * self.depth
        self.back = 0.5 * self.depth

    def spine_x(self, y: np.ndarray) -> np.ndarray:
        """Centre of the vertebral bodies; the thoracic curve bends backwards."""
        v = (y - self.at(0.0)) / (self.at(1.0) - self.at(0.0))
        bend = self.anatomy.kyphosis_mm + 12.0
        return self.back - 42.0 + bend * (np.sin(np.pi * np.clip(v + 0.1, -0.3, 1.3)) - 1.0) * 0.9 + 6.0

    def lungs(self) -> Points:
        """The lungs' outline with the dome of the right diaphragm."""
        front, at = self.front, self.at
        behind = [float(x) + 34.0 for x in self.spine_x(np.array([at(v) for v in (0.0, 0.3, 0.7, 1.0, 1.15)]))]
        return smooth_curve(
            [
                (behind[0] - 66.0, at(0.0)),
                (behind[0] - 20.0, at(0.03)),
                (behind[1], at(0.3)),
                (behind[2], at(0.7)),
                (behind[3], at(1.0)),
                (behind[4], at(1.15)),
                (behind[4] - 2.0, at(1.19)),
                (behind[4] - 14.0, at(1.13)),
                (0.24 * self.depth, at(1.04)),
                (0.06 * self.depth, at(0.97)),
                (-0.28 * self.depth, at(0.97)),
                (front + 6.0, at(1.06)),
                (front, at(0.9)),
                (front + 4.0, at(0.55)),
                (front + 20.0, at(0.22)),
                (front + 46.0, at(0.08)),
            ],
            closed=True,
        )

    def heart(self) -> Points:
        """The heart upon the front half of the diaphragm, behind the breastbone."""
        size = self.frontal.ctr * self.frontal.half_width  # half of its width from the front
        front, at = self.front, self.at
        low, top = at(1.02), at(0.99) - 1.95 * size
        return smooth_curve(
            [
                (front + 10.0, low - 0.10 * size),
                (front + 9.0, low - 0.75 * size),
                (front + 0.30 * size, low - 1.35 * size),
                (front + 0.85 * size, top),
                (front + 1.30 * size, top + 0.12 * size),
                (front + 1.72 * size, low - 1.25 * size),
                (front + 1.80 * size, low - 0.62 * size),
                (front + 1.45 * size, low),
            ],
            closed=True,
        )


def lateral_view(
    grid: Grid, frontal: FrontalLayout, findings: Findings, rng: np.random.Generator, *, effusion_contrast: float = 1.0
) -> View:
    """Project one patient from the side."""
    layout = LateralLayout(frontal)
    lungs = grid.cover([layout.lungs()])
    heart = grid.cover([layout.heart()])
    width = 2.0 * frontal.half_width
    taper = np.clip((grid.y - frontal.apex_y + 20.0) / (0.5 * frontal.height), 0.25, 1.0)
    air = grid.chord(lungs, 34.0) * (0.66 * width) * taper
    air -= grid.blur(grid.chord(heart, 60.0), 2.5) * (0.62 * width * frontal.ctr)
    air -= _vessel_cluster(grid, layout, rng)
    opaque, added = _findings(grid, layout, findings, rng, effusion_contrast)
    air = np.clip(air, 0.0, None) * (1.0 - opaque)
    texture = 1.0 + 0.05 * grid.noise(rng, 2.4) + 0.06 * grid.noise(rng, 6.0) + 0.04 * grid.noise(rng, 16.0)
    windpipe = tube(smooth_curve([(0.10 * layout.depth, -10.0), (0.12 * layout.depth, layout.at(0.36))]), 8.0)
    gas = grid.chord(grid.cover([windpipe]), 8.0) * 14.0
    tissue = _body(grid, layout) - air * (1.0 - LUNG_DENSITY * texture) - gas + added
    attenuation = 0.72 * TISSUE_PER_MM * np.clip(tissue, 0.0, None) + BONE_PER_MM * _bones(grid, layout)
    return View(attenuation.astype(np.float32), binary(lungs), {})


def _vessel_cluster(grid: Grid, layout: LateralLayout, rng: np.random.Generator) -> Map:
    """Hila, aortic arch and the vessels that fan out from them, mm of tissue."""
    x, y = 0.08 * layout.depth, layout.at(0.46)
    knob = layout.anatomy.knob_radius_mm
    arch = smooth_curve([(x - 16, y - 20), (x - 8, y - 48), (x + 16, y - 52), (x + 32, y - 26), (x + 40, y + 90)])
    arteries = [
        ellipse(x - 12.0, y + 2.0, 13.0, 17.0, tilt_deg=20.0),
        ellipse(x + 8.0, y - 4.0, 11.0, 19.0, tilt_deg=-30.0),
    ]
    mass = grid.blur(grid.chord(grid.cover(arteries), 14.0), 2.0) * 26.0
    aorta = tube(arch, np.linspace(0.95, 0.6, len(arch)) * knob)
    mass += grid.blur(grid.chord(grid.cover([aorta]), knob), 1.5) * 20.0
    count = 90
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    near, far = rng.uniform(6.0, 50.0, count), rng.uniform(15.0, 45.0, count)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    starts = np.array([x, y]) + direction * near[:, None]
    bent = np.stack([np.cos(angle + 0.2), np.sin(angle + 0.2)], axis=1)
    calibre = np.interp(near, [6.0, 50.0], [5.0, 1.6])
    lines = grid.draw_lines(starts, starts + bent * far[:, None], calibre, calibre / 8.0)
    return mass + grid.blur(lines, 0.8) * 8.0


def _body(grid: Grid, layout: LateralLayout) -> Map:
    """Trunk, neck and raised arms, mm."""
    front, back, at = layout.front, layout.back, layout.at
    wall = 16.0 + 0.5 * layout.anatomy.fat_mm
    breast = 0.9 * layout.anatomy.breast_mm
    trunk = smooth_curve(
        [
            (front + 40.0, at(-0.25)),
            (front + 20.0, at(0.02)),
            (front - wall, at(0.35)),
            (front - wall - breast, at(0.78)),
            (front - wall - 6.0, at(1.0)),
            (front - wall - 4.0, at(1.5)),
            (front - wall, 640.0),
            (back + wall - 6.0, 640.0),
            (back + wall - 4.0, at(1.2)),
            (back + wall + 12.0, at(0.6)),
            (back + wall + 4.0, at(0.15)),
            (back + 6.0, at(-0.12)),
            (back - 10.0, at(-0.4)),
        ],
        closed=True,
    )
    width = 2.0 * (layout.frontal.half_width + layout.anatomy.wall_mm)
    body = grid.chord(grid.cover([trunk]), 46.0) * width
    arms = tube(
        smooth_curve([(0.12 * layout.depth, at(0.10)), (-0.12 * layout.depth, at(-0.04)), (front - 70, -60)]), 40
    )
    return np.maximum(body, grid.chord(grid.cover([arms]), 40.0) * 200.0)


def _bones(grid: Grid, layout: LateralLayout) -> Map:
    """Spine, sternum and ribs, mm of bone."""
    anatomy, at = layout.anatomy, layout.at
    bodies, arches = [], []
    y, level = at(-0.4), 0
    while y < grid.rows * grid.spacing_mm + 30.0:
        size = anatomy.vertebra_mm * float(np.clip(0.76 + 0.026 * level, 0.7, 1.2))
        centre = float(layout.spine_x(np.array([y + 0.5 * size]))[0])
        half = float(np.clip(11.0 + 0.55 * level, 10.0, 19.0))
        bodies.append(
            np.array(
                [
                    (centre + a * half, y + b * size)
                    for a, b in ((-1, 0.1), (1, 0.08), (0.94, 0.5), (1, 0.9), (-1, 0.88), (-0.9, 0.5))
                ]
            )
        )
        arches.append(tube(smooth_curve([(centre + half, y + 0.4 * size), (centre + half + 24, y + size)]), 4.0))
        y += size
        level += 1
    body = grid.cover(bodies)
    spine = 8.0 * body + 14.0 * np.clip(body - grid.blur(body, 1.6), 0.0, 1.0) + 3.5 * grid.cover(arches)
    ribs = []
    for index in range(10):
        top = at(0.02 + 0.1 * index)
        start = float(layout.spine_x(np.array([top]))[0]) + 14.0
        drop = (30.0 + 7.0 * index) * anatomy.rib_drop
        end = layout.front + (20.0 if index < 7 else 20.0 + 22.0 * (index - 6))
        line = smooth_curve(
            [(start, top), (start + 4.0, top + 14.0), (0.4 * start, top + 0.55 * drop), (end, top + 1.3 * drop)]
        )
        ribs.append(tube(line, 4.5))
    shell = grid.cover(ribs[::2]) + grid.cover(ribs[1::2])
    edges = 1.2 * shell + 3.0 * np.clip(shell - grid.blur(shell, 1.5), 0.0, 1.0)
    plate = tube(
        smooth_curve([(layout.front + 16, at(0.12)), (layout.front - 3, at(0.4)), (layout.front - 6, at(0.8))]), 5.0
    )
    return grid.blur((spine + edges + 9.0 * grid.cover([plate])) * np.float32(anatomy.bone_density), 0.7)


def _findings(
    grid: Grid, layout: LateralLayout, findings: Findings, rng: np.random.Generator, effusion_contrast: float
) -> tuple[Map, Map]:
    """Opaque share of the air, and tissue added, mm."""
    opaque, added = grid.zeros(), grid.zeros()
    for effusion in findings.effusions:
        bottom = layout.at(1.17)
        surface = (
            bottom
            - effusion.height_mm
            + 0.5 * effusion.height_mm * np.exp(-np.clip(grid.x - 0.1 * layout.depth, 0.0, None) / 40.0)
        )
        opaque = np.maximum(opaque, 0.55 * effusion_contrast * (grid.y > surface) * (grid.x > -0.2 * layout.depth))
    for spot in findings.consolidations:
        forward = -0.22 if spot.lobe == "middle" else 0.20 if spot.lobe == "lower" else -0.02
        x, y = forward * layout.depth, layout.at(spot.v)
        radius = np.sqrt(((grid.x - x) / spot.wide_mm) ** 2 + ((grid.y - y) / spot.tall_mm) ** 2)
        ragged = radius + 0.18 * grid.noise(rng, 22.0)
        opaque = np.maximum(opaque, 0.5 * spot.density / (1.0 + np.exp((ragged - 1.0) * 6.0)))
    for nodule in findings.nodules:
        x = (0.25 if nodule.side == LEFT else -0.1) * layout.depth * np.sin(9.0 * nodule.u)
        ball = 1.0 - ((grid.x - x) ** 2 + (grid.y - layout.at(nodule.v)) ** 2) / (0.5 * nodule.diameter_mm) ** 2
        added += np.sqrt(np.clip(ball, 0.0, 1.0)) * nodule.diameter_mm
    return grid.blur(opaque.astype(np.float32), 2.0), added.astype(np.float32)
