"""Montgomery County's tuberculosis screening (U.S.A.), with a mask of each lung.

Jaeger et al. 2014; Candemir et al., Lung segmentation in chest radiographs using anatomical atlases
with nonrigid registration, IEEE TMI 2014: the lung behind the heart does not belong to the masks.

    MontgomerySet/CXR_png/MCUCXR_0001_0.png   ManualMask/leftMask/MCUCXR_0001_0.png   ManualMask/rightMask/…

Left is the patient's. The films' pixels are 0.0875 mm wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from raydino.readers.base import Known, MaskMaker
from raydino.readers.mask_makers import FileMask, UnionMask
from raydino.readers.nlm_tuberculosis import TuberculosisSet


class Montgomery(TuberculosisSet):
    """Implements ``Reader``."""

    prefix: ClassVar[str] = "MCUCXR"
    published: ClassVar[Mapping[str, int]] = {"normal films": 80, "films with tuberculosis": 58, "masks": 138}
    known: ClassVar[Known] = Known(population="United States", site="Montgomery County", spacing_mm=0.0875)

    def masks(self, stem: str) -> Mapping[str, Path | MaskMaker]:
        sides = {side: self.root / "ManualMask" / f"{side}Mask" / f"{stem}.png" for side in ("left", "right")}
        found: dict[str, Path | MaskMaker] = {f"{side}_lung": path for side, path in sides.items() if path.is_file()}
        if len(found) == 2:
            found["lungs"] = UnionMask(tuple(FileMask(path) for path in sides.values()))
        return found
