"""CheXmask: lungs and heart of the films of other data sets, as ``--masks CheXmask.csv`` beside their readers.

Gaggion et al., CheXmask: a large-scale dataset of anatomical segmentation masks for multi-center
chest X-ray images, Sci Data 2024. A table a data set (OriginalResolution/VinDr-CXR.csv, …) with a row a
film: its name, Dice RCA (Mean) and (Max), Landmarks, Left Lung, Right Lung, Heart (run lengths along the
rows, the first pixel 1), Height and Width. Dice RCA is an estimate of the mask's quality by reverse
classification accuracy; rows under 0.7 are left out, as the authors recommend.

The tables have gigabytes, so they are read once, and of each row only its place is kept.
"""

from __future__ import annotations

import csv
import hashlib
import io
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from raydino.errors import UserError
from raydino.readers.base import MaskMaker
from raydino.readers.mask_makers import UnionMask
from raydino.readers.run_length import ABSOLUTE_BY_ROWS, decode_runs

LEAST_DICE = 0.7
# The columns that name a film: ChestX-ray14, MIMIC-CXR, VinDr-CXR, PadChest and CANDID-PTX, CheXpert.
_NAMES = ("Image Index", "dicom_id", "image_id", "ImageID", "Path", "Image ID")
_DICE = ("Dice RCA (Mean)", "Dice RCA (Max)")
_STRUCTURES = {"left_lung": "Left Lung", "right_lung": "Right Lung", "heart": "Heart"}
_SIZE = ("Height", "Width")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")


@dataclass(frozen=True)
class RowMask:
    """One structure of one row of the table."""

    path: Path
    offset: int
    length: int
    film: str  # as in film_key
    columns: tuple[int, int, int, int]  # of the film's name, the run lengths, height and width

    def __call__(self) -> npt.NDArray[np.bool_]:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            cells = _cells(file.read(self.length))
        name, runs, rows, cols = (cells[column] for column in self.columns)
        if film_key(name) != self.film:
            raise ValueError("the row of another film")
        if not runs.strip():
            raise ValueError("no run lengths")
        return decode_runs(runs, int(float(rows)), int(float(cols)), ABSOLUTE_BY_ROWS)


@dataclass(frozen=True, eq=False)
class CheXmask:
    """A table of masks and the places of its rows. The same seam as ``MaskFolder``."""

    path: Path
    columns: tuple[int, ...]  # name, left lung, right lung, heart, height, width
    hashes: npt.NDArray[np.uint64]  # of the films' keys, ascending
    places: npt.NDArray[np.int64]  # [rows, 2]: offset, length

    @classmethod
    def open(cls, path: Path, least_dice: float = LEAST_DICE) -> CheXmask:
        """Read the table once. Raises UserError where it is none."""
        if path.suffix.lower() == ".gz":
            raise UserError("is compressed", where=path, remedy="unpack it: a mask is read from its place in the file")
        hashes, places = array("Q"), array("q")
        try:
            with path.open("rb") as file:
                header = [cell.strip() for cell in _cells(file.readline(), path)]
                name = next((column for column in _NAMES if column in header), None)
                wanted = (*_DICE, *_STRUCTURES.values(), *_SIZE)
                missing = ([] if name else [_NAMES[0]]) + [column for column in wanted if column not in header]
                if missing or name is None:
                    remedy = "wanted: a table of CheXmask's OriginalResolution"
                    raise UserError(f"lacks a column {missing[0]}", where=path, remedy=remedy)
                at, dice = header.index(name), [header.index(column) for column in _DICE]
                for offset, record in _records(file):
                    cells = _cells(record, path)
                    if len(cells) == len(header) and _quality(*(cells[column] for column in dice)) >= least_dice:
                        hashes.append(_hash(film_key(cells[at])))
                        places.extend((offset, len(record)))
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", where=path) from None
        keys = np.array(hashes, np.uint64)
        order = np.argsort(keys, kind="stable")
        columns = tuple(header.index(column) for column in (name, *_STRUCTURES.values(), *_SIZE))
        return cls(path, columns, keys[order], np.array(places, np.int64).reshape(-1, 2)[order])

    def of(self, sop_instance_uid: str, name: str) -> dict[str, Path | MaskMaker]:
        """The masks of a film by structure."""
        for key in (sop_instance_uid, film_key(name)):
            wanted = np.uint64(_hash(key))
            at = int(np.searchsorted(self.hashes, wanted))
            if key and at < len(self.hashes) and self.hashes[at] == wanted:
                return self._masks(key, *self.places[at].tolist())
        return {}

    def files(self) -> list[Path]:
        """The table."""
        return [self.path]

    def count(self) -> int:
        """How many masks there are."""
        return len(self.hashes) * (len(_STRUCTURES) + 1)

    def _masks(self, key: str, offset: int, length: int) -> dict[str, Path | MaskMaker]:
        name, *runs, rows, cols = self.columns
        parts = {
            structure: RowMask(self.path, offset, length, key, (name, column, rows, cols))
            for structure, column in zip(_STRUCTURES, runs, strict=True)
        }
        return {**parts, "lungs": UnionMask((parts["left_lung"], parts["right_lung"]))}


def film_key(name: str) -> str:
    """What names a film in the table and in its data set: the file's name, with CheXpert's patient and study."""
    path = PurePosixPath(name)
    stem = path.name[: -len(path.suffix)] if path.suffix.lower() in _SUFFIXES else path.name
    return "/".join((*path.parts[-3:-1], stem)) if stem.startswith("view") else stem


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The rows of a CSV file from here, with their places; a quoted cell may hold line ends."""
    offset = file.tell()
    while record := file.readline():
        while record.count(b'"') % 2 and (line := file.readline()):
            record += line
        yield offset, record
        offset += len(record)


def _cells(record: bytes, path: Path | None = None) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(record.decode("utf-8-sig"), newline="")), [])
    except (UnicodeDecodeError, csv.Error):
        if path is None:
            raise ValueError("not a row of the table") from None
        raise UserError("is not a CSV file in UTF-8", where=path) from None


def _quality(mean: str, maximum: str) -> float:
    """The mean Dice RCA; the smaller of the two, because one release has them interchanged."""
    try:
        return min(float(mean), float(maximum))
    except ValueError:
        return float("nan")


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
