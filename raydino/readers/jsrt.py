"""JSRT: 247 films with and without a lung nodule, with the masks of SCR.

Shiraishi et al., Development of a digital image database for chest radiographs with and without a
lung nodule, AJR 2000: 13 institutions in Japan and one in the U.S.A., so a film's country is not known.
van Ginneken et al., Segmentation of anatomical structures in chest radiographs using supervised
methods, Med Image Anal 2006 (SCR): lungs without what lies behind heart and diaphragm, heart, clavicles
where they cover the lungs.

    All247images/JPCLN001.IMG … JPCNN093.IMG   or in Nodule154images and NonNodule93images
    Clinical_Information/CLNDAT_EN.txt, CNNDAT_EN.TXT
    scratch/fold1/masks/{left lung,right lung,heart,left clavicle,right clavicle}/JPCLN001.gif, fold2/…

A film is 2048 × 2048 big-endian 16-bit words of 12 bits, the lowest white, 0.175 mm a pixel; a mask is
1024 × 1024. SCR's two folds are each other's test set; here fold 1 trains and fold 2 is the test, and
validation is a tenth of fold 1, by a hash. Without SCR there is no official split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known, MaskMaker, RawPixels, SourceImage
from raydino.readers.cohort import TRAIN_OR_VAL, Row, find
from raydino.readers.mask_makers import FileMask, UnionMask
from raydino.readers.masked_cohort import MaskedCohort

_PIXELS = RawPixels(2048, 2048, ">u2", 12, inverted=True)
_TABLES = ("clndat_en.txt", "cnndat_en.txt")
_STRUCTURES = ("left lung", "right lung", "heart", "left clavicle", "right clavicle")
_NAME = re.compile(r"JPC[LN]N\d{3}\.IMG", re.IGNORECASE)


@dataclass(frozen=True)
class Clinical:
    """A row of the clinical tables."""

    age_years: float | None
    sex: str | None
    text: str | None  # with a nodule: benign or malignant, where, the diagnosis


class Jsrt(MaskedCohort):
    """Implements ``Reader``. Films are named by their files."""

    title = "JSRT"
    suffixes = (".img",)
    published = (("films", 247),)
    splits = (("fold 1", TRAIN_OR_VAL), ("fold 2", "test"))

    @classmethod
    def recognises(cls, source: str) -> bool:
        try:
            return find(Path(source), "JPC[LN]N*.IMG", "*/JPC[LN]N*.IMG", "*/*/JPC[LN]N*.IMG") is not None
        except (OSError, ValueError):
            return False

    def _read(self) -> pd.DataFrame:
        self.labels = ("Nodule",)
        self.left_out = dict.fromkeys(("subtlety", "nodule size", "nodule position"), "no finding of the vocabulary")
        texts = sorted(path for path in self.source.rglob("*") if path.name.lower() in _TABLES)
        if not texts:
            raise UserError("lacks CLNDAT_EN.txt and CNNDAT_EN.TXT", where=self.source, remedy="get all tables of JSRT")
        self._clinical = {name: row for path in texts for name, row in parse_clinical(_read(path)).items()}
        films = {PurePosixPath(file).stem.upper(): file for file in self.on_disk if _NAME.fullmatch(Path(file).name)}
        if unlisted := len(films.keys() - self._clinical.keys()):
            self._notes.append(f"{unlisted:,} films are in no clinical table")
        self._segmented = _mask_files(self.source)
        if not self._segmented:
            self._notes.append("SCR's masks (fold1/masks, fold2/masks) are not there, so no official split either")
        stems = sorted(films.keys() | self._clinical.keys())
        rows = pd.DataFrame({"name": [f"{stem}.IMG" for stem in stems], "patient": stems})
        rows["path"] = [films.get(stem, "") for stem in stems]
        rows["official"] = [self._fold(stem) for stem in stems]
        self._check("films with a nodule", sum(stem.startswith("JPCLN") for stem in films), 154)
        return rows

    def _fold(self, stem: str) -> str:
        path = next(iter(self._segmented.get(stem, {}).values()), None)
        return f"fold {path.parents[2].name[-1]}" if path else ""

    def _image(self, row: Row) -> SourceImage:
        return replace(super()._image(row), is_dicom=False, raw=_PIXELS)

    def _known(self, row: Row) -> Known:
        clinical = self._clinical.get(row["patient"], Clinical(None, None, None))
        return Known(view="PA", age_years=clinical.age_years, sex=clinical.sex, spacing_mm=0.175)

    def _report(self, row: Row) -> str | None:
        clinical = self._clinical.get(row["patient"])
        return clinical.text if clinical else None

    def _labels(self, row: Row) -> dict[str, float | None]:
        return {"Nodule": float(row["name"].startswith("JPCLN"))}

    def _masks(self, row: Row) -> Mapping[str, Path | MaskMaker]:
        files = {
            structure: FileMask(path, times=2) for structure, path in self._segmented.get(row["patient"], {}).items()
        }
        lungs = [files[side] for side in ("left_lung", "right_lung") if side in files]
        return {**files, "lungs": UnionMask(tuple(lungs))} if len(lungs) == 2 else files


def parse_clinical(content: str) -> dict[str, Clinical]:
    """The rows of CLNDAT_EN or CNNDAT_EN by film.

    Columns are parted by tabs, by spaces or by both, rows by any line end or none: a row begins with the name of a
    film. The age stands before the sex; after it come, with a nodule, its position and what it was.
    """
    rows = {}
    names = list(_NAME.finditer(content))
    for name, following in zip(names, [*names[1:], None], strict=True):
        cells = content[name.end() : following.start() if following else None].replace(",", " ").split()
        at = next((i for i, cell in enumerate(cells) if cell.lower() in ("male", "female")), None)
        if at is None:
            continue
        text = " ".join(cell for cell in cells[at + 1 :] if not cell.isdigit())
        age = cells[at - 1] if at else ""
        rows[Path(name[0]).stem.upper()] = Clinical(
            float(age) if age.isdigit() else None, cells[at][0].upper(), text or None
        )
    return rows


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="latin-1")
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path) from None


def _mask_files(source: Path) -> dict[str, dict[str, Path]]:
    """SCR's files by film and structure."""
    found: dict[str, dict[str, Path]] = {}
    for structure in _STRUCTURES:
        for path in sorted(source.rglob(f"fold[12]/masks/{structure}/*.gif")):
            found.setdefault(path.stem.upper(), {})[structure.replace(" ", "_")] = path
    return found
