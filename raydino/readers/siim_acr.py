"""SIIM-ACR Pneumothorax Segmentation: films of the NIH Clinical Center with outlined pneumothoraces.

Filice et al., Crowdsourcing pneumothorax annotations using machine learning annotations on the NIH
chest X-ray dataset, J Digit Imaging 2020; Kaggle 2019. Its films are among those of ChestX-ray14.

    dicom-images-train/<study>/<series>/<image>.dcm   dicom-images-test/…   train-rle.csv      (stage 1)
    stage_2_images/<image>.dcm                        stage_2_train.csv                        (stage 2)

A row of a table is one outline, so a film may have several: ``ImageId, EncodedPixels``, relative run
lengths down the columns of 1024 × 1024 pixels, -1 for no pneumothorax. Stage 2 trains on the test
films of stage 1. A film without pneumothorax has the label "absent" and no mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from raydino.readers.base import Known, ReaderOptions, SourceImage
from raydino.readers.film_table import read_csv
from raydino.readers.layout import counted, differences, files_below, find, require, require_columns
from raydino.readers.mask_makers import RunsMask
from raydino.readers.run_length import RELATIVE_BY_COLUMNS

NONE = "-1"
_SIZE = 1024
_TABLES = ("stage_2_train.csv", "train-rle.csv")
_FOLDERS = ("dicom-images-train", "dicom-images-test", "stage_2_images")
_PUBLISHED = {
    "stage_2_train.csv": {"films listed": 12_047, "films with pneumothorax": 2_669},
    "train-rle.csv": {"films listed": 10_675},
}


class SiimAcr:
    """Implements ``Reader``. Films come folder by folder, then those that are listed and lie nowhere."""

    labels: tuple[str, ...] = ("Pneumothorax",)
    left_out: Mapping[str, str] = {}

    def __init__(self, source: str, options: ReaderOptions) -> None:
        table = require(source, options, _TABLES, "table of SIIM-ACR Pneumothorax")
        require(source, options, _FOLDERS, "folder of SIIM-ACR's films")
        self._outlines = read_outlines(table, "ImageId", "EncodedPixels")
        self._second_stage = table.name == "stage_2_train.csv"
        folders = [folder for name in _FOLDERS if (folder := find(source, [name])) is not None]
        self._films = {
            f"{folder.name}/{name}": folder / name for folder in folders for name in files_below(folder, (".dcm",))
        }
        missing = sorted(self._outlines.keys() - {path.stem for path in self._films.values()})
        self._missing = {f"{name}.dcm": table.parent / f"{Path(name).name}.dcm" for name in missing}
        counts = {
            "films listed": len(self._outlines),
            "films with pneumothorax": sum(bool(outlines) for outlines in self._outlines.values()),
        }
        self.notes: Sequence[str] = [
            *differences(counts, _PUBLISHED[table.name]),
            *counted(len(self._missing), "films are listed but lie nowhere"),
        ]

    @classmethod
    def recognises(cls, source: str) -> bool:
        return find(source, _TABLES) is not None and find(source, _FOLDERS) is not None

    def total(self) -> int | None:
        return len(self._films) + len(self._missing)

    def images(self) -> Iterator[SourceImage]:
        for name, path in {**self._films, **self._missing}.items():
            yield self._image(name, path)

    def _image(self, name: str, path: Path) -> SourceImage:
        outlines = self._outlines.get(PurePosixPath(name).stem)
        listed = outlines is not None
        trains = name.startswith("dicom-images-train/") or (listed and self._second_stage)
        return SourceImage(
            name,
            path=path,
            known=Known(split="train" if trains else "test", population="United States", site="NIH Clinical Center"),
            labels={"Pneumothorax": float(bool(outlines)) if listed else None},
            masks={"pneumothorax": RunsMask(outlines, _SIZE, _SIZE, RELATIVE_BY_COLUMNS)} if outlines else {},
        )


def read_outlines(path: Path, key: str, runs: str) -> dict[str, tuple[str, ...]]:
    """The encodings of every film of a table with a row an outline; none for a film whose rows say -1.

    A row with an empty cell says nothing. Raises UserError.
    """
    frame = read_csv(path)
    require_columns(frame, path, (key, runs))
    outlines: dict[str, tuple[str, ...]] = {}
    for name, text in zip(frame[key], frame[runs], strict=True):
        if text:
            outlines[name] = outlines.get(name, ()) + ((text,) if text != NONE else ())
    return outlines
