"""Where the organs of one patient lie on one frontal film: outlines in mm.

``FrontalLayout`` turns anatomy, pose and cardiothoracic ratio into curves; thorax and skeleton fill
them, lesions places findings by them. Side -1 is the patient's right (the image's left), +1 the
patient's left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from raydino.phantom.anatomy import Anatomy, Pose
from raydino.phantom.geometry import Points, ellipse, smooth_curve

RIGHT, LEFT = -1, 1
SIDES = (RIGHT, LEFT)
_MEDIAL_MM = 5.0  # the two lungs nearly meet before and behind the mediastinum
# The chest wall from the apex down: share of the lung height, share of the half width.
_WALL = ((0.0, 0.36), (0.015, 0.48), (0.055, 0.60), (0.12, 0.71), (0.22, 0.815), (0.36, 0.90), (0.54, 0.955))
_WALL_LOW = ((0.74, 0.99), (0.92, 1.0), (1.12, 0.995), (1.40, 0.96))


@dataclass(frozen=True)
class FrontalLayout:
    """Outlines of one frontal film."""

    anatomy: Anatomy
    pose: Pose
    ctr: float  # cardiothoracic ratio of the patient, before magnification

    @property
    def half_width(self) -> float:
        return self.anatomy.half_width_mm

    @property
    def apex_y(self) -> float:
        return self.pose.apex_mm

    @property
    def height(self) -> float:
        """Apex to the right dome on this film."""
        return self.anatomy.lung_height_mm * self.pose.inspiration

    def at(self, v: float) -> float:
        """The y of a level given as share of the lung height below the apex."""
        return self.apex_y + v * self.height

    def dome_y(self, side: int) -> float:
        """Top of a hemidiaphragm."""
        return self.at(1.0) + (self.anatomy.left_dome_drop_mm if side == LEFT else 0.0)

    def angle_y(self, side: int) -> float:
        """Bottom of a costophrenic angle."""
        return self.dome_y(side) + self.anatomy.sulcus_mm * (0.5 + 0.5 * self.pose.inspiration)

    @cached_property
    def wall(self) -> Points:
        """The inner chest wall from the apex down, [n, 2]: distance from the midline, y."""
        shape = self.anatomy.chest_shape
        upper = [(self.half_width * (u + 0.035 * shape * np.sin(np.pi * min(1.0, v / 0.8))), v) for v, u in _WALL]
        lower = [(self.half_width * u, v) for v, u in _WALL_LOW]
        return smooth_curve([(x, self.at(v)) for x, v in upper + lower], steps=8)

    def wall_x(self, y: float | npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Distance of the inner chest wall from the midline at levels ``y``."""
        wall = self.wall
        return np.asarray(np.interp(y, wall[:, 1], wall[:, 0]))

    def envelope(self, side: int) -> Points:
        """One half of the chest's inside, down below the diaphragm and up to the midline."""
        wall = self.wall
        medial = smooth_curve(
            [
                (_MEDIAL_MM, self.at(1.4)),
                (_MEDIAL_MM, self.at(0.3)),
                (0.09 * self.half_width, self.at(0.10)),
                (0.16 * self.half_width, self.at(0.035)),
                (0.25 * self.half_width, self.at(0.004)),
            ]
        )
        outline = np.concatenate([wall, medial])
        return outline * (side, 1.0)

    def diaphragm(self, side: int, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The y of a hemidiaphragm over positions ``x`` (any shape), mm."""
        top, low = self.dome_y(side), self.angle_y(side)
        centre = 0.46 * self.half_width
        away = np.abs(x)
        outer = np.clip((away - centre) / (0.985 * self.half_width - centre), 0.0, 1.4)
        inner = np.clip((centre - away) / centre, 0.0, 1.0)
        curve = top + (low - top) * (0.30 * outer**2 + 0.70 * outer**4.5) + 15.0 * inner**2
        return curve.astype(np.float32)

    @cached_property
    def heart(self) -> Points:
        """The cardiac silhouette. Its width is the ratio times the chest's inner width."""
        width = self.ctr * self.pose.heart_magnification * 2.0 * self.half_width
        right = 0.335 * width
        left = width - right
        lying = self.anatomy.heart_tilt
        bottom = self.dome_y(LEFT) + 20.0
        tall = float(np.clip(0.80 * width, 78.0, 0.62 * self.height)) * (1.0 - 0.07 * lying) + 22.0
        base = bottom - tall
        knots = [
            (-0.20 * width, base - 4.0),
            (-0.80 * right, base + 0.24 * tall),
            (-1.00 * right, base + 0.52 * tall),
            (-0.93 * right, base + 0.78 * tall),
            (-0.60 * right, base + 0.97 * tall),
            (0.10 * left, base + 1.02 * tall),
            (0.60 * left, base + 1.03 * tall),
            (0.93 * left, base + 0.95 * tall),
            (1.00 * left, base + (0.83 - 0.06 * lying) * tall),
            (0.955 * left, base + (0.63 - 0.06 * lying) * tall),
            (0.81 * left, base + (0.40 - 0.05 * lying) * tall),
            (0.615 * left, base + 0.18 * tall),
            (0.45 * left, base - 2.0),
        ]
        outline = smooth_curve(knots, closed=True)
        across = (outline[:, 0] - outline[:, 0].min()) / np.ptp(outline[:, 0])  # the curve may overshoot its knots
        outline[:, 0] = across * width - right + self.pose.turn_mm
        return outline

    def heart_base_y(self) -> float:
        """Upper edge of the heart."""
        return float(self.heart[:, 1].min())

    @property
    def knob(self) -> tuple[float, float]:
        """Centre of the aortic arch."""
        outwards = 18.0 + self.anatomy.unfolding_mm + self.pose.turn_mm
        return outwards, self.at(0.285)

    def great_vessels(self) -> list[Points]:
        """Aortic arch and pulmonary trunk, the two bulges above the heart's left border."""
        x, y = self.knob
        radius = self.anatomy.knob_radius_mm
        trunk_x = 0.27 * self.ctr * 2.0 * self.half_width - 10.0 + self.pose.turn_mm
        return [
            ellipse(x, y, radius, radius * 1.2),
            ellipse(trunk_x, self.at(0.435), 14.0, 34.0, tilt_deg=-14.0),
        ]

    def mediastinum(self) -> Points:
        """Vessels and windpipe above the heart."""
        turn = self.pose.turn_mm
        middle = 0.5 * (self.at(0.30) + self.heart_base_y())
        right = [(-24.0, 0.0), (-25.0, self.at(0.05)), (-25.0 + turn, self.at(0.2)), (-27.0 + turn, middle)]
        left = [(24.0, 0.0), (24.0, self.at(0.05)), (25.0 + turn, self.at(0.2)), (27.0 + turn, middle)]
        low = self.heart_base_y() + 40.0
        knots = [*right, (-30.0 + turn, low), (30.0 + turn, low), *left[::-1]]
        return smooth_curve(knots, closed=True, steps=6)

    def hilum(self, side: int) -> tuple[float, float]:
        """Where the lung's vessels begin."""
        return side * 0.26 * self.half_width + self.pose.turn_mm, self.at(0.47 if side == RIGHT else 0.435)
