"""VinDr-RibCXR: 20 ribs outlined on 245 films of VinDr-CXR (Viet Nam).

Nguyen et al., VinDr-RibCXR: a benchmark dataset for automatic segmentation and labeling of individual
ribs on chest X-rays, MIDL 2021. Postero-anterior films; a polygon a rib, R1 to R10 and L1 to L10, right
and left of the patient.

    data/train/img/VinDr_RibCXR_train_000.png   data/train/Vindr_RibCXR_train_mask.json
    data/val/img/…                              data/val/Vindr_RibCXR_val_mask.json

    {"img": {"0": "data/train/img/VinDr_RibCXR_train_000.png"}, "R1": {"0": [{"x": 1027.8, "y": 470.7}, …]}, …}

The 49 films of ``val`` are the paper's independent test set, so they count as official test films.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, SourceImage
from raydino.readers.layout import counted, differences, find, require
from raydino.readers.mask_makers import Point, PolygonMask

_TABLES = {"train": "train/Vindr_RibCXR_train_mask.json", "val": "val/Vindr_RibCXR_val_mask.json"}
_SPLITS = {"train": "train", "val": "test"}
_PUBLISHED = {"films in train": 196, "films in val": 49}
_RIBS = {f"{side[0].upper()}{n}": f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 11)}


Polygon = tuple[Point, ...]


@dataclass(frozen=True)
class _Film:
    path: Path
    split: str
    ribs: Mapping[str, Polygon]


class VindrRibCxr:
    """Implements ``Reader``. Films come in order of their names."""

    labels: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}

    def __init__(self, source: str, options: ReaderOptions) -> None:
        require(source, options, _TABLES.values(), "polygons of VinDr-RibCXR")
        films = {}
        for part, table in _TABLES.items():
            if (path := find(source, [table])) is not None:
                for name, ribs in read_polygons(path).items():
                    films[f"{part}/img/{name}"] = _Film(path.parent / "img" / name, _SPLITS[part], ribs)
        self._films = dict(sorted(films.items()))
        counts = {f"films in {part}": sum(name.startswith(f"{part}/") for name in films) for part in _TABLES}
        missing = sum(not film.path.is_file() for film in films.values())
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
        for name, film in self._films.items():
            yield SourceImage(
                name,
                path=film.path,
                is_dicom=False,
                known=Known(patient_id=film.path.stem, view="PA", split=film.split, population="Viet Nam"),
                masks={rib: PolygonMask(points, film.path) for rib, points in film.ribs.items()},
            )


def read_polygons(path: Path) -> dict[str, dict[str, Polygon]]:
    """The ribs' polygons by the film's file name and the rib. Raises UserError."""
    try:
        tables: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
        return {
            PurePosixPath(name).name: {
                rib: tuple((float(point["x"]), float(point["y"])) for point in points)
                for key, rib in _RIBS.items()
                if isinstance(points := tables[key].get(number), list) and points
            }
            for number, name in tables["img"].items()
        }
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path) from None
    except KeyError as error:
        raise UserError(f"lacks {error}", where=path, remedy="wanted: img, R1 … R10, L1 … L10") from None
    except (ValueError, TypeError, AttributeError):
        raise UserError("is no table of ribs as VinDr-RibCXR has it", where=path) from None
