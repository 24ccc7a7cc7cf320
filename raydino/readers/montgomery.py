"""Montgomery County's tuberculosis screening (U.S.A.), with a mask of each lung.

Jaeger et al. 2014; Candemir et al., Lung segmentation in chest radiographs using anatomical atlases
with nonrigid registration, IEEE TMI 2014: the lung behind the heart does not belong to the masks.

    CXR_png/MCUCXR_0001_0.png   ManualMask/leftMask/MCUCXR_0001_0.png   ManualMask/rightMask/…   ClinicalReadings/

Left is taken for the patient's; the release does not say so. The films' pixels are 0.0875 mm wide. No official
split.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raydino.readers.base import MaskMaker
from raydino.readers.cohort import Row
from raydino.readers.mask_makers import FileMask, UnionMask
from raydino.readers.nlm_tuberculosis import TuberculosisSet


class Montgomery(TuberculosisSet):
    """Implements ``Reader``."""

    title = "Montgomery"
    marks = ("CXR_png/MCUCXR_*.png", "ManualMask")
    published = (("films", 138),)
    prefix = "MCUCXR"
    ill = 58
    masked = 138
    site = "Montgomery County"
    population = "United States"
    spacing_mm = 0.0875

    def _masks(self, row: Row) -> Mapping[str, Path | MaskMaker]:
        manual = self._beside(row) / "ManualMask"
        sides = {side: manual / f"{side}Mask" / row["name"] for side in ("left", "right")}
        found: dict[str, Path | MaskMaker] = {f"{side}_lung": path for side, path in sides.items() if path.is_file()}
        if len(found) == 2:
            found["lungs"] = UnionMask(tuple(FileMask(path) for path in sides.values()))
        return found
