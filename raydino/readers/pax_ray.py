"""PAX-Ray++: chest CTs projected to frontal and lateral films, with overlapping masks of 157 structures.

Seibold et al., Accurate fine-grained segmentation of human anatomy in radiographs via volumetric
pseudo-labeling, 2023 (arXiv 2306.03934). They are computed films, and the masks are projected
predictions of a network on the CT, so neither is what a reading room has. 512 × 512 pixels.

    paxray_images_unfiltered/images_patlas/RibFrac_056_frontal.png, …_lateral.png
    paxray_train_val.json, paxray_test.json        COCO: images, categories, annotations

Categories are named as in the rest of raydino where it has a name (lungs, left_lung, heart,
left_clavicle, rib_left_5_posterior), the others by their own with underscores. Training and validation
films are in one file and count as training.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from raydino.readers.base import Known, ReaderOptions, SourceImage
from raydino.readers.coco import CocoIndex
from raydino.readers.layout import counted, differences, find, require

_TABLES = {"train": "paxray_train_val.json", "test": "paxray_test.json"}
_FOLDERS = ("paxray_images_unfiltered/images_patlas", "images_patlas")
# By the first author's 2DAnatomyDatasets (prepare_paxraypp).
_PUBLISHED = {"films of paxray_train_val.json": 13_278, "films of paxray_test.json": 1_475}
_NAMES = {
    "lung": "lungs",
    "left lung": "left_lung",
    "right lung": "right_lung",
    "clavicle left": "left_clavicle",
    "clavicle right": "right_clavicle",
}
_RIB = re.compile(r"(anterior|posterior) (\d+)(?:st|nd|rd|th) rib (left|right)")
_VIEW = re.compile(r"_(frontal|lateral)$")


class PaxRay:
    """Implements ``Reader``. Films come in order of their names."""

    labels: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}

    def __init__(self, source: str, options: ReaderOptions) -> None:
        require(source, options, _TABLES.values(), "annotations of PAX-Ray++")
        self._folder = require(source, options, _FOLDERS, "folder of PAX-Ray++'s films")
        paths = {split: find(source, [table]) for split, table in _TABLES.items()}
        self._tables = {split: CocoIndex(path) for split, path in paths.items() if path is not None}
        self._films = sorted(
            (PurePosixPath(file).name, split, image_id)
            for split, table in self._tables.items()
            for image_id, file in table.images.items()
        )
        counts = {
            f"films of {_TABLES[split]}": len(self._tables[split].images) if split in self._tables else 0
            for split in _TABLES
        }
        missing = sum(not (self._folder / name).is_file() for name, *_ in self._films)
        self.notes: Sequence[str] = [
            *differences(counts, _PUBLISHED),
            *counted(missing, "films are listed but lie nowhere"),
        ]

    @classmethod
    def recognises(cls, source: str) -> bool:
        return find(source, _TABLES.values()) is not None

    def total(self) -> int | None:
        return len(self._films)

    def images(self) -> Iterator[SourceImage]:
        for name, split, image_id in self._films:
            stem = PurePosixPath(name).stem
            view = _VIEW.search(stem)
            volume = _VIEW.sub("", stem)
            masks = self._tables[split].masks(image_id)
            yield SourceImage(
                name,
                path=self._folder / name,
                is_dicom=False,
                known=Known(
                    patient_id=volume,
                    study_id=volume,
                    view="LATERAL" if view and view[1] == "lateral" else None,  # a projection is neither PA nor AP
                    split=split,
                ),
                masks={structure_of(category): mask for category, mask in masks.items()},
            )


def structure_of(category: str) -> str:
    """The structure's name for a category."""
    name = " ".join(category.lower().replace("_", " ").split())
    if rib := _RIB.fullmatch(name):
        return f"rib_{rib[3]}_{rib[2]}_{rib[1]}"
    return _NAMES.get(name) or re.sub(r"\W+", "_", name).strip("_")
