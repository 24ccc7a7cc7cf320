"""Shenzhen No. 3 People's Hospital's tuberculosis set (China), with lung masks where they were added.

Jaeger et al. 2014. The masks are by Stirenko et al., Chest X-ray analysis of tuberculosis by deep
learning with segmentation and augmentation, 2018; for 566 of the films, both lungs in one.

    CXR_png/CHNCXR_0001_0.png   ClinicalReadings/CHNCXR_0001_0.txt   mask/CHNCXR_0001_0_mask.png

The folder of masks may be called mask or masks, lie beside CXR_png or one level higher, and hold another
of its name. No official split.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from raydino.readers.base import MaskMaker
from raydino.readers.cohort import Row, find
from raydino.readers.nlm_tuberculosis import TuberculosisSet

_MASK = "CHNCXR_*_mask.png"


class Shenzhen(TuberculosisSet):
    """Implements ``Reader``."""

    title = "Shenzhen"
    marks = ("CXR_png/CHNCXR_*.png",)
    published = (("films", 662),)
    prefix = "CHNCXR"
    ill = 336
    masked = 566
    site = "Shenzhen No. 3 People's Hospital"
    population = "China"

    @cached_property
    def _folder(self) -> Path | None:
        places = [f"{folder}/{_MASK}" for folder in ("mask", "masks", "mask/mask", "masks/masks")]
        one = find(self.source, *places, around=places)
        return one.parent if one else None

    def _masks(self, row: Row) -> Mapping[str, Path | MaskMaker]:
        path = self._folder / f"{row['film']}_mask.png" if self._folder else None
        return {"lungs": path} if path and path.is_file() else {}
