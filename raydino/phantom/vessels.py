"""The branching tree of lung vessels: soft lines that fan out of the hila and thin towards the wall.

The tree belongs to the patient (a seed), in shares of the lung's size, so that all films of a
patient show the same one. Also draws air bronchograms, the same tree as air in an opaque lobe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raydino.phantom.geometry import Grid, Map, Points, smooth_curve, tube
from raydino.phantom.layout import SIDES, FrontalLayout

_GENERATIONS = 9
_THICKEST_MM = 8.0
_CONTRAST_MM = 29.0  # tissue in the widest vessel; more than round, since films are processed for detail


@dataclass(frozen=True)
class Tree:
    """Line pieces of one lung, thinnest first: from, to in shares of the lung; calibre in mm."""

    starts: Points
    ends: Points
    calibre_mm: npt.NDArray[np.float64]


def grow_tree(rng: np.random.Generator, side: int) -> Tree:
    """A tree around the hilum (0, 0); x outwards in half widths, y downwards in lung heights."""
    count = 11
    angle = np.linspace(-1.45, 1.75, count) + rng.normal(0.0, 0.12, count)  # up, out, down
    at = np.zeros((count, 2))
    calibre = rng.uniform(5.0, 6.6, count) * np.interp(angle, [-1.5, 0.0, 1.7], [0.9, 0.8, 1.1])
    pieces = []
    for generation in range(_GENERATIONS):
        length = rng.uniform(0.075, 0.125, len(at)) * (0.9 if generation else 0.7)
        step = np.stack([np.cos(angle) * length, np.sin(angle) * length * 0.72], axis=1)
        pieces.append((at, at + step, calibre))
        at = at + step
        fork = rng.random(len(at)) < (0.50 if generation else 0.9)
        turn = rng.normal(0.0, 0.16, len(at))
        spread = rng.uniform(0.35, 0.75, int(fork.sum())) * rng.choice([-1.0, 1.0], int(fork.sum()))
        at = np.concatenate([at, at[fork]])
        angle = np.concatenate([angle + turn, angle[fork] + spread])
        calibre = np.concatenate([calibre * np.where(fork, 0.82, 0.90), calibre[fork] * 0.70])
        keep = (calibre > 0.8) & (np.abs(at[:, 1]) < 0.75) & (at[:, 0] < 0.74)
        at, angle, calibre = at[keep], angle[keep], calibre[keep]
    starts, ends, calibres = (np.concatenate(part) for part in zip(*pieces, strict=True))
    order = np.argsort(calibres, kind="stable")
    return Tree(starts[order], ends[order], calibres[order])


def place_tree(tree: Tree, layout: FrontalLayout, side: int) -> tuple[Points, Points]:
    """The tree's pieces on the film, mm."""
    size = (side * layout.half_width, layout.height)
    return tree.starts * size + layout.hilum(side), tree.ends * size + layout.hilum(side)


def vessels(grid: Grid, layout: FrontalLayout) -> Map:
    """Vessel thickness along the beam, mm; to be limited to the lungs."""
    rng = np.random.default_rng(layout.anatomy.vessel_seed)
    total = grid.zeros()
    for side in SIDES:
        tree = grow_tree(rng, side)
        starts, ends = place_tree(tree, layout, side)
        calibre = tree.calibre_mm * layout.anatomy.vessel_calibre
        total += grid.draw_lines(starts, ends, calibre, calibre / _THICKEST_MM)
    return grid.blur(total * np.float32(_CONTRAST_MM), 0.6) + _hilar_arteries(grid, layout)


def _hilar_arteries(grid: Grid, layout: FrontalLayout) -> Map:
    """The two pulmonary arteries as they curve down out of the mediastinum, mm."""
    total = grid.zeros()
    for side in SIDES:
        x, y = layout.hilum(side)
        out = side * 0.055 * layout.half_width
        artery = smooth_curve([(0.35 * x, y - 16.0), (0.75 * x, y - 14.0), (x + out, y), (x + 0.8 * out, y + 34.0)])
        widths = np.linspace(11.0, 5.0, len(artery))
        total += grid.chord(grid.cover([tube(artery, widths)]), 9.0) * 15.0
    return grid.blur(total, 1.2)
