"""Bones of a frontal film as one map: mm of bone along the beam, cortex denser than spongy bone.

A rib is a tilted ring around the chest: seen from the front it is an ellipse whose upper arm is the
posterior rib and whose lower arm is the anterior rib, and it is thickest where it runs along the
beam, at the side. Neighbours: layout (where), frontal (sums up).
"""

from __future__ import annotations

import numpy as np

from raydino.phantom.geometry import Grid, Map, Points, ellipse, smooth_curve, tube
from raydino.phantom.layout import SIDES, FrontalLayout

_RIBS = 11
_DROP_MM = (54, 68, 82, 92, 102, 108, 112, 112, 108, 100, 90)  # back to front of each rib
_START_MM = 17.0  # where a rib leaves the spine
_CORTEX_MM = 1.5


def bones(grid: Grid, layout: FrontalLayout) -> Map:
    """All bones, mm of mineral-rich tissue along the beam."""
    total = _ribs(grid, layout) + _spine(grid, layout) + _clavicles(grid, layout) + _shoulders(grid, layout)
    return grid.blur(total * np.float32(layout.anatomy.bone_density), 0.55)


def rib_line(layout: FrontalLayout, index: int) -> tuple[Points, Points]:
    """Centre lines of the posterior and the anterior arm of left rib ``index`` (0 = first)."""
    anatomy = layout.anatomy
    drop = _DROP_MM[index] * anatomy.rib_drop * layout.pose.inspiration**-1.0
    start_y = layout.at(-0.005 + 0.103 * index) + 0.02 * anatomy.kyphosis_mm * (5 - index)
    reach = float(layout.wall_x(start_y + 0.5 * drop)) - 1.0
    if index == 0:
        reach *= 0.90
    first = np.arcsin(_START_MM / reach)
    last = np.pi - np.arcsin(0.30 if index == 0 else 0.44 + 0.05 * max(0, index - 5))
    angle = np.linspace(first, last, 56)
    x = reach * np.sin(angle)
    y = start_y + 0.5 * drop * (1.0 - np.cos(angle)) - 6.0 * np.sin(2.0 * angle)
    line = np.stack([x, y], axis=1)
    turn = int(np.searchsorted(angle, np.pi / 2 + 0.06))
    return line[: turn + 1], line[turn - 1 :]


def _ribs(grid: Grid, layout: FrontalLayout) -> Map:
    half = layout.anatomy.rib_half_width_mm
    wall = layout.wall_x(grid.y[:, 0]).astype(np.float32)[:, None] + 2.0
    sine = np.clip(np.abs(grid.x) / wall, 0.0, 1.0)
    along = 1.0 / np.sqrt(np.maximum(1.0 - sine * sine, 0.09))  # longer way through the bone at the side
    lines = [rib_line(layout, index) for index in range(_RIBS)]
    total = grid.zeros()
    for arm, spongy, wider in ((0, 4.2, 0.92), (1, 3.1, 1.08)):
        outer, inner = [], []
        for line in (arms[arm] for arms in lines[: _RIBS - 2 * arm]):
            width = half * wider * np.linspace(0.85, 1.0, len(line))
            shell_outline, core_outline = tube(line, width), tube(line, width - _CORTEX_MM)
            outer += [shell_outline * (side, 1.0) for side in SIDES]
            inner += [core_outline * (side, 1.0) for side in SIDES]
        shell, core = grid.cover(outer), grid.cover(inner)
        bone = spongy * shell + 4.2 * np.clip(shell - core, 0.0, 1.0)
        # In front, bone gives way to cartilage, which a film hardly shows.
        ossified = np.clip((np.abs(grid.x) / layout.half_width - 0.34) / 0.30, 0.0, 1.0) if arm else 1.0
        total += bone * ossified
    return total * along * np.clip(grid.y / 20.0, 0.0, 1.0)


def _spine(grid: Grid, layout: FrontalLayout) -> Map:
    anatomy = layout.anatomy
    bodies, discs, pedicles, processes = [], [], [], []
    y = layout.at(-0.45)
    level = -4  # the first thoracic vertebra is 0
    while y < grid.rows * grid.spacing_mm + 30.0:
        size = anatomy.vertebra_mm * float(np.clip(0.80 + 0.026 * level, 0.66, 1.2))
        half = float(np.clip(14.0 + 0.55 * level, 11.5, 21.0)) * (anatomy.half_width_mm / 132.0)
        waist = 0.90 * half
        top, bottom = y + 0.08 * size, y + 0.92 * size
        corners = [(-half, top), (half, top), (waist, 0.5 * (top + bottom)), (half, bottom), (-half, bottom)]
        bodies.append(np.array([*corners, (-waist, 0.5 * (top + bottom))]))
        discs.append(np.array([(-half, top - 0.16 * size), (half, top - 0.16 * size), (half, top), (-half, top)]))
        for side in SIDES:
            pedicles.append(ellipse(side * 0.62 * half, y + 0.36 * size, 0.17 * half + 1.2, 0.21 * size))
            processes.append(
                tube(smooth_curve([(side * 0.7 * half, y + 0.3 * size), (side * (half + 12.0), y + 0.2 * size)]), 3.5)
            )
        processes.append(ellipse(0.25 * layout.pose.turn_mm, y + 0.85 * size, 2.6, 0.26 * size))
        y += size
        level += 1
    narrow, columns = grid.strip(50.0)
    body = narrow.cover(bodies)
    rim = np.clip(body - narrow.blur(body, 1.6), 0.0, 1.0)
    bone = 6.5 * narrow.chord(body, 9.0) + 2.0 * body + 8.0 * rim
    bone += 1.5 * narrow.cover(discs) + 2.6 * narrow.cover(pedicles) + 2.8 * narrow.cover(processes)
    total = grid.zeros()
    total[:, columns] = bone
    return total


def _clavicles(grid: Grid, layout: FrontalLayout) -> Map:
    rise = layout.anatomy.clavicle_rise_mm + 12.0 * (1.0 - layout.pose.shoulders_forward)
    wide = layout.half_width + layout.anatomy.wall_mm
    outer, inner = [], []
    for side in SIDES:
        turn = layout.pose.turn_mm
        inner_y = layout.at(0.19)
        line = smooth_curve(
            [
                (side * 13.0 + turn, inner_y),
                (side * 0.33 * layout.half_width + 0.8 * turn, inner_y - 4.0),
                (side * 0.68 * layout.half_width, inner_y - 0.7 * rise - 9.0),
                (side * 0.90 * wide, inner_y - rise - 17.0),
                (side * (wide + 14.0), inner_y - rise - 12.0),
            ]
        )
        width = np.interp(np.linspace(0, 1, len(line)), [0.0, 0.12, 0.5, 1.0], [8.5, 6.0, 5.2, 6.4])
        outer.append(tube(line, width))
        inner.append(tube(line, width - 1.7))
    shell = grid.cover(outer)
    return 10.0 * shell + 8.0 * np.clip(shell - grid.cover(inner), 0.0, 1.0)


def _shoulders(grid: Grid, layout: FrontalLayout) -> Map:
    """Shoulder blades and upper arm bones."""
    wide = layout.half_width + layout.anatomy.wall_mm
    forward = layout.pose.shoulders_forward
    top = layout.at(0.07)
    blades, borders, arms = [], [], []
    for side in SIDES:
        medial = 0.62 * layout.half_width + forward * (0.42 * layout.half_width)
        tip = (side * (medial + 26.0), layout.at(0.66))
        corner = (side * medial, top + 14.0)
        socket = (side * (wide + 4.0 + 10.0 * forward), top + 12.0)
        blades.append(smooth_curve([corner, socket, tip], closed=True, steps=16))
        borders.append(tube(smooth_curve([socket, (0.5 * (socket[0] + tip[0]) - side * 4, layout.at(0.4)), tip]), 4.0))
        borders.append(tube(smooth_curve([corner, (0.5 * (corner[0] + socket[0]), top + 6.0), socket]), 3.2))
        head = (side * (wide + 27.0 + 8.0 * forward), top + 10.0)
        arms.append(ellipse(*head, 23.0, 24.0))
        shaft = [head, (head[0] + side * 6.0, head[1] + 60.0), (head[0] + side * (12 + 30 * forward), head[1] + 330.0)]
        arms.append(tube(smooth_curve(shaft), 12.0))
    arm = grid.cover(arms)
    return 2.4 * grid.cover(blades) + 4.6 * grid.cover(borders) + 5.5 * arm + 5.0 * (arm - grid.blur(arm, 2.0)).clip(0)
