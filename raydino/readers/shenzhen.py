"""Shenzhen No. 3 People's Hospital's tuberculosis set (China), with lung masks where they were added.

Jaeger et al. 2014. The masks are by Stirenko et al., Chest X-ray analysis of tuberculosis by deep
learning with segmentation and augmentation, 2018; for 566 of the films, both lungs in one.

    ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png   ChinaSet_AllFiles/mask/CHNCXR_0001_0_mask.png

The folder of masks may be called mask or masks, lie beside or above ChinaSet_AllFiles, and hold
another of its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from raydino.readers.base import Known, MaskMaker
from raydino.readers.nlm_tuberculosis import TuberculosisSet

_MASKS = ("mask", "masks", "mask/mask", "masks/masks")


class Shenzhen(TuberculosisSet):
    """Implements ``Reader``."""

    prefix: ClassVar[str] = "CHNCXR"
    published: ClassVar[Mapping[str, int]] = {"normal films": 326, "films with tuberculosis": 336}
    known: ClassVar[Known] = Known(population="China", site="Shenzhen No. 3 People's Hospital")

    @cached_property
    def _folder(self) -> Path | None:
        around = (place / name for place in (self.root, self.root.parent) for name in _MASKS)
        return next((folder for folder in around if next(folder.glob("CHNCXR_*_mask.png"), None)), None)

    def masks(self, stem: str) -> Mapping[str, Path | MaskMaker]:
        path = self._folder / f"{stem}_mask.png" if self._folder else None
        return {"lungs": path} if path and path.is_file() else {}
