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
1024 × 1024. SCR's two folds are each other's test set; here fold 1 trains and fold 2 is the test.
Without SCR there is no official split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raydino.errors import UserError
from raydino.readers.base import Known, MaskMaker, RawPixels, ReaderOptions, SourceImage
from raydino.readers.layout import counted, differences, files_below, find, require
from raydino.readers.mask_makers import FileMask, UnionMask

_PIXELS = RawPixels(2048, 2048, ">u2", 12, inverted=True)
_SPACING_MM = 0.175
_FOLDERS = ("All247images", "Nodule154images", "NonNodule93images")
_TABLES = ("clndat_en.txt", "cnndat_en.txt")
_STRUCTURES = ("left lung", "right lung", "heart", "left clavicle", "right clavicle")
_SPLITS = {"fold1": "train", "fold2": "test"}
_PUBLISHED = {"films with a nodule": 154, "films without": 93}
_NAME = re.compile(r"JPC[LN]N\d{3}\.IMG", re.IGNORECASE)


@dataclass(frozen=True)
class Clinical:
    """A row of the clinical tables."""

    age_years: float | None
    sex: str | None
    text: str | None  # with a nodule: benign or malignant, where, the diagnosis


class Jsrt:
    """Implements ``Reader``. Films come in order of their names."""

    labels: tuple[str, ...] = ("Nodule",)
    left_out: Mapping[str, str] = {
        "subtlety": "is no finding",
        "nodule size": "is no finding",
        "nodule position": "is no finding",
    }

    def __init__(self, source: str, options: ReaderOptions) -> None:
        require(source, options, _FOLDERS, "folder of JSRT's films")
        root = Path(source)
        texts = [root / name for name in files_below(root, (".txt",)) if Path(name).name.lower() in _TABLES]
        if not texts:
            raise UserError(
                "holds no clinical table of JSRT", where=root, remedy="wanted: CLNDAT_EN.txt, CNNDAT_EN.TXT"
            )
        self._rows = {name: row for path in texts for name, row in parse_clinical(_read(path)).items()}
        paths = {Path(name).stem.upper(): root / name for name in files_below(root, (".img",)) if _is_film(name)}
        self._films = {stem: paths.get(stem, root / f"{stem}.IMG") for stem in sorted(paths.keys() | self._rows.keys())}
        self._masks = _mask_files(root)
        counts = {
            "films with a nodule": sum(stem.startswith("JPCLN") for stem in paths),
            "films without": sum(stem.startswith("JPCNN") for stem in paths),
        }
        self.notes: Sequence[str] = [
            *differences(counts, _PUBLISHED),
            *counted(len(self._films) - len(paths), "films are listed but lie nowhere"),
            *counted(len(paths.keys() - self._rows.keys()), "films are in no clinical table"),
            *([] if self._masks else ["no masks of SCR (fold1/masks, fold2/masks), so no official split either"]),
        ]

    @classmethod
    def recognises(cls, source: str) -> bool:
        return find(source, _FOLDERS) is not None

    def total(self) -> int | None:
        return len(self._films)

    def images(self) -> Iterator[SourceImage]:
        for stem, path in self._films.items():
            row = self._rows.get(stem, Clinical(None, None, None))
            files = self._masks.get(stem, {})
            fold = next((path.parents[2].name.lower() for path in files.values()), None)
            yield SourceImage(
                f"{stem}.IMG",
                path=path,
                is_dicom=False,
                raw=_PIXELS,
                known=Known(
                    patient_id=stem,
                    view="PA",
                    split=_SPLITS[fold] if fold else None,
                    age_years=row.age_years,
                    sex=row.sex,
                    spacing_mm=_SPACING_MM,
                ),
                labels={"Nodule": float(stem.startswith("JPCLN"))},
                report=row.text,
                masks=_makers(files),
            )


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


def _is_film(name: str) -> bool:
    return _NAME.fullmatch(Path(name).name) is not None


def _mask_files(root: Path) -> dict[str, dict[str, Path]]:
    """SCR's files by film and structure; each lies in fold1 or fold2."""
    found: dict[str, dict[str, Path]] = {}
    for name in files_below(root, (".gif",)):
        path = root / name
        if len(path.parents) > 2 and path.parent.name in _STRUCTURES and path.parents[2].name.lower() in _SPLITS:
            found.setdefault(path.stem.upper(), {})[path.parent.name.replace(" ", "_")] = path
    return found


def _makers(files: Mapping[str, Path]) -> dict[str, Path | MaskMaker]:
    makers: dict[str, Path | MaskMaker] = {structure: FileMask(path, times=2) for structure, path in files.items()}
    if {"left_lung", "right_lung"} <= files.keys():
        makers["lungs"] = UnionMask(tuple(FileMask(files[f"{side}_lung"], times=2) for side in ("left", "right")))
    return makers
