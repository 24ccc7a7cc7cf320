"""Which pixels of a film the X-rays reached: what the statistics of percentiles are taken from.

Sources: display shutter (PS3.3 C.7.6.11) and X-ray collimator (C.8.7.3), each a rectangle, a circle, a
polygon or what these have in common; where neither is given, borders without any content. Pixels
outside stay in the film: a wrong shutter would hide anatomy. Neighbour: ``pixels``.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from raydino.dicom.header import numbers, texts
from raydino.dicom.stored import StoredFrame

Field = npt.NDArray[np.uint8]  # [rows, cols], 255 inside and 0 outside
SMALLEST_FIELD = 0.05  # of the film; less is a fault of the header
BARE_RANGE = 0.02  # of the film's range: within it lie all but the darkest and brightest 2 % of a bare border
LARGEST_BORDERS = 0.8  # of the film's height or width; a film with more is no film with borders
_LOOKED_AT = 256  # of the rows and columns, when borders are sought


def header_field(dataset: Dataset, size: tuple[int, int], aspect: float) -> Field | None:
    """Where shutter and collimator let light through; None where the header gives neither.

    ``size`` is rows and columns, ``aspect`` a pixel's height over its width: a circle's radius counts pixels
    along a row.
    """
    masks = [
        mask
        for aperture in ("Shutter", "Collimator")
        for shape in texts(dataset, f"{aperture}Shape")
        if (mask := _shape(dataset, aperture, shape.upper(), size, aspect)) is not None
    ]
    if not masks:
        return None
    field = masks[0]
    for mask in masks[1:]:
        field = cv2.bitwise_and(field, mask)  # type: ignore[assignment]
    inside = cv2.countNonZero(field) / field.size
    return field if SMALLEST_FIELD <= inside < 1.0 else None


def _shape(dataset: Dataset, aperture: str, shape: str, size: tuple[int, int], aspect: float) -> Field | None:
    """One shape filled; None for a broken one. Positions count from 1, and edges belong to the field."""
    mask = np.zeros(size, np.uint8)
    if shape == "RECTANGULAR":
        edges = [numbers(dataset, f"{aperture}{edge}Edge") for edge in _EDGES]
        if not all(edges):
            return None
        left, right, upper, lower = (round(edge[0]) for edge in edges)
        mask[max(upper - 1, 0) : max(lower, 0), max(left - 1, 0) : max(right, 0)] = 255
    elif shape == "CIRCULAR":
        center = numbers(dataset, f"CenterOfCircular{aperture}")
        radius = numbers(dataset, f"RadiusOfCircular{aperture}")
        if len(center) != 2 or not radius:
            return None
        row, col = np.ogrid[1 : size[0] + 1, 1 : size[1] + 1]
        mask[((row - center[0]) * aspect) ** 2 + (col - center[1]) ** 2 <= radius[0] ** 2] = 255
    elif shape == "POLYGONAL":
        places = numbers(dataset, f"VerticesOfThePolygonal{aperture}")
        if len(places) < 6 or len(places) % 2:
            return None
        corners = np.clip(np.array(places).reshape(-1, 2)[:, ::-1] - 1, -(2**14), 2**14)
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 255)  # type: ignore[call-overload]
    else:
        return None
    return mask


_EDGES = ("LeftVertical", "RightVertical", "UpperHorizontal", "LowerHorizontal")


def field_without_borders(frame: StoredFrame) -> Field | None:
    """What lies between borders of one shade; None where there is no border, or hardly anything else.

    A border is a run of whole rows or columns from the film's edge, each (but for 2 % of its pixels at either
    end: a marker, dust) of one shade within BARE_RANGE. No row through anatomy is, so none is left out.
    """
    seen, steps = frame.sampled(_LOOKED_AT)
    low, high = np.percentile(seen, (1, 99))
    if high <= low:
        return None
    found = []
    for axis in (0, 1):
        ends = np.percentile(seen, (2, 98), axis=1 - axis)
        full = np.flatnonzero(ends[1] - ends[0] > BARE_RANGE * (high - low))
        if len(full) == 0 or len(full) < (1 - LARGEST_BORDERS) * seen.shape[axis]:
            return None
        found.append(slice(int(full[0]) * steps[axis], (int(full[-1]) + 1) * steps[axis]))
    field = np.zeros(frame.words.shape, np.uint8)
    field[tuple(found)] = 255
    return None if field.all() else field
