"""Shapes on a film's pixel grid: smooth curves, tubes, filled outlines, chords and soft noise.

Everything anatomical is given in millimetres, x to the image's right from the patient's midline and
y downwards from the film's upper edge; only this file knows pixels. Used by thorax, skeleton,
vessels, lesions and lateral.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]  # [rows, cols]
Mask = npt.NDArray[np.uint8]  # [rows, cols], 0 or 255
Points = npt.NDArray[np.float64]  # [n, 2], x and y in mm
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Grid:
    """The pixel grid of one film: its size, the pixel spacing, and the column of the midline."""

    rows: int
    cols: int
    spacing_mm: float
    midline_mm: float  # from the left edge of the film

    @property
    def x(self) -> Map:
        """Horizontal position of each column's centre, [1, cols], mm from the midline."""
        return ((np.arange(self.cols, dtype=np.float32) + 0.5) * self.spacing_mm - self.midline_mm)[None, :]

    @property
    def y(self) -> Map:
        """Vertical position of each row's centre, [rows, 1], mm from the upper edge."""
        return ((np.arange(self.rows, dtype=np.float32) + 0.5) * self.spacing_mm)[:, None]

    def zeros(self) -> Map:
        """An empty map."""
        return np.zeros((self.rows, self.cols), np.float32)

    def coarser(self) -> Grid:
        """The same film at half the resolution, for maps without detail."""
        return Grid((self.rows + 1) // 2, (self.cols + 1) // 2, 2.0 * self.spacing_mm, self.midline_mm)

    def from_coarser(self, values: Map) -> Map:
        """A map on the ``coarser`` grid at full resolution."""
        fine = cv2.resize(values, None, fx=2.0, fy=2.0, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(fine[: self.rows, : self.cols])

    def strip(self, half_width_mm: float) -> tuple[Grid, slice]:
        """The columns within ``half_width_mm`` of the midline as a grid of their own, and which they are."""
        columns = np.flatnonzero(np.abs(self.x[0]) <= half_width_mm)
        first, last = int(columns[0]), int(columns[-1]) + 1
        return Grid(self.rows, last - first, self.spacing_mm, self.midline_mm - first * self.spacing_mm), slice(
            first, last
        )

    def to_pixels(self, points: Points) -> npt.NDArray[np.int32]:
        """Fixed-point pixel positions as OpenCV's drawing functions take them."""
        shifted = (points + np.array([self.midline_mm, 0.0])) / self.spacing_mm - 0.5
        return np.round(shifted * (1 << _SUBPIXEL_BITS)).astype(np.int32)

    def cover(self, outlines: Iterable[Points]) -> Map:
        """How much of each pixel lies inside any of the ``outlines``, 0..1.

        OpenCV draws the edge too, so a shape comes out up to half a pixel too large all around.
        """
        canvas = np.zeros((self.rows, self.cols), np.uint8)
        for outline in outlines:
            cv2.fillPoly(canvas, [self.to_pixels(outline)], 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        return canvas.astype(np.float32) / 255.0

    def draw_lines(
        self, starts: Points, ends: Points, widths_mm: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
    ) -> Map:
        """Lines drawn in order, later ones on top; ``values`` in 0..1. Thinner than a pixel is drawn fainter."""
        canvas = np.zeros((self.rows, self.cols), np.uint8)
        first, last = self.to_pixels(starts), self.to_pixels(ends)
        widths = widths_mm / self.spacing_mm
        thickness = np.maximum(1, np.round(widths)).astype(int)
        shades = np.clip(255.0 * values * np.minimum(1.0, widths), 0, 255)
        for i in range(len(starts)):
            cv2.line(
                canvas,
                (int(first[i, 0]), int(first[i, 1])),
                (int(last[i, 0]), int(last[i, 1])),
                float(shades[i]),
                int(thickness[i]),
                cv2.LINE_AA,
                _SUBPIXEL_BITS,
            )
        return canvas.astype(np.float32) / 255.0

    def blur(self, values: Map, sigma_mm: float) -> Map:
        """Gaussian blur; a wide one is computed on a coarser grid."""
        sigma = sigma_mm / self.spacing_mm
        if sigma < 6.0:
            return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
        step = int(sigma // 2.5)
        size = (max(2, self.cols // step), max(2, self.rows // step))
        small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma / step, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(small, (self.cols, self.rows), interpolation=cv2.INTER_CUBIC), np.float32)

    def chord(self, inside: Map, radius_mm: float) -> Map:
        """Relative thickness, 0..1, of a rounded body with the silhouette ``inside``.

        Rises from the silhouette's edge like a circle's chord and is 1 from ``radius_mm`` inwards.
        """
        silhouette = (inside > 0.5).astype(np.uint8)
        left, top, wide, tall = cv2.boundingRect(silhouette)
        # A ring of outside around the box, unless the film ends there: only the box costs time.
        box = np.s_[max(0, top - 1) : top + tall + 1, max(0, left - 1) : left + wide + 1]
        thickness = self.zeros()
        if wide and tall:
            distance = cv2.distanceTransform(np.ascontiguousarray(silhouette[box]), cv2.DIST_L2, 5)
            depth = 1.0 - np.minimum(distance * np.float32(self.spacing_mm / radius_mm), 1.0)
            thickness[box] = np.sqrt(1.0 - depth * depth)
        return thickness

    def noise(self, rng: np.random.Generator, cell_mm: float) -> Map:
        """Smooth Gaussian noise of about unit variance whose grains are ``cell_mm`` wide."""
        cell = cell_mm / self.spacing_mm
        shape = (int(self.rows / cell) + 3, int(self.cols / cell) + 3)
        coarse = rng.standard_normal(shape, dtype=np.float32)
        if cell <= 1.0:
            return coarse[: self.rows, : self.cols]
        size = (int(shape[1] * cell) + 1, int(shape[0] * cell) + 1)
        fine = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        return np.ascontiguousarray(fine[: self.rows, : self.cols])


def smooth_curve(knots: Iterable[tuple[float, float]], *, closed: bool = False, steps: int = 12) -> Points:
    """A Catmull–Rom curve through ``knots``, ``steps`` points between neighbours, [n, 2]."""
    points = np.asarray(list(knots), np.float64)
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None, :] for i in range(4))
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, points[-1:]])


def tube(centre: Points, half_width_mm: npt.NDArray[np.float64] | float) -> Points:
    """The outline of a band around the line ``centre``, [2 n, 2]."""
    along = np.gradient(centre, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * np.reshape(half_width_mm, (-1, 1))
    return np.concatenate([centre + across, (centre - across)[::-1]])


def ellipse(x: float, y: float, half_width: float, half_height: float, *, tilt_deg: float = 0.0) -> Points:
    """The outline of an ellipse, [48, 2]."""
    angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    tilt = np.deg2rad(tilt_deg)
    a, b = half_width * np.cos(angle), half_height * np.sin(angle)
    return np.stack([x + a * np.cos(tilt) - b * np.sin(tilt), y + a * np.sin(tilt) + b * np.cos(tilt)], axis=1)
