"""PAX-Ray++: chest CTs projected to frontal and lateral films, with overlapping masks of 157 structures.

Seibold et al., Accurate fine-grained segmentation of human anatomy in radiographs via volumetric
pseudo-labeling, 2023 (arXiv 2306.03934). They are computed films, and the masks are projected
predictions of a network on the CT, so neither is what a reading room has. 512 × 512 pixels.

    paxray_images_unfiltered/images_patlas/RibFrac_056_frontal.png, …_lateral.png
    paxray_train_val.json, paxray_test.json        COCO: images, categories, annotations

Categories are named as in the rest of raydino where it has a name (lungs, left_lung, heart,
left_clavicle, rib_left_5_posterior), the others by their own with underscores. A CT counts as a patient.
Training and validation films are in one file; validation is a tenth of the CTs, by a hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known, MaskMaker
from raydino.readers.coco import CocoIndex
from raydino.readers.cohort import TRAIN_OR_VAL, Row, by_file_name, find
from raydino.readers.masked_cohort import MaskedCohort

_NAMES = {
    "lung": "lungs",
    "left lung": "left_lung",
    "right lung": "right_lung",
    "clavicle left": "left_clavicle",
    "clavicle right": "right_clavicle",
}
_RIB = re.compile(r"(anterior|posterior) (\d+)(?:st|nd|rd|th) rib (left|right)")
_VIEW = re.compile(r"_(frontal|lateral)$")


class PaxRay(MaskedCohort):
    """Implements ``Reader``. Films are named by their files."""

    title = "PAX-Ray++"
    marks = ("paxray_t*.json",)
    suffixes = (".png",)
    published = (("train_val films", 13_278), ("test films", 1_475))  # by the first author's 2DAnatomyDatasets
    splits = (("train_val", TRAIN_OR_VAL), ("test", "test"))

    def _read(self) -> pd.DataFrame:
        paths = {
            part: path for part, _ in self.splits if (path := find(self.source, f"paxray_{part}.json")) is not None
        }
        if not paths:
            wanted = "wanted: paxray_train_val.json, paxray_test.json"
            raise UserError("lacks the annotations of PAX-Ray++", where=self.source, remedy=wanted)
        self._annotations = {part: CocoIndex(path) for part, path in paths.items()}
        films = pd.DataFrame(
            [
                (PurePosixPath(file).name, part, image_id)
                for part, table in self._annotations.items()
                for image_id, file in table.images.items()
            ],
            columns=["name", "official", "image_id"],
        )
        on_disk = by_file_name(self.on_disk)
        films["path"] = [on_disk.get(name, "") for name in films["name"]]
        films["patient"] = [_VIEW.sub("", PurePosixPath(name).stem) for name in films["name"]]
        return films

    def _known(self, row: Row) -> Known:
        lateral = PurePosixPath(row["name"]).stem.endswith("_lateral")
        # A projection is neither PA nor AP.
        return Known(study_id=row["patient"], view="LATERAL" if lateral else None)

    def _masks(self, row: Row) -> Mapping[str, Path | MaskMaker]:
        masks = self._annotations[row["official"]].masks(row["image_id"])
        return {structure_of(category): mask for category, mask in masks.items()}


def structure_of(category: str) -> str:
    """The structure's name for a category."""
    name = " ".join(category.lower().replace("_", " ").split())
    if rib := _RIB.fullmatch(name):
        return f"rib_{rib[3]}_{rib[2]}_{rib[1]}"
    return _NAMES.get(name) or re.sub(r"\W+", "_", name).strip("_")
