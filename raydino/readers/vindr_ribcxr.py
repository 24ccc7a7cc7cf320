"""VinDr-RibCXR: 20 ribs outlined on 245 films of VinDr-CXR.

Nguyen et al., VinDr-RibCXR: a benchmark dataset for automatic segmentation and labeling of individual
ribs on chest X-rays, MIDL 2021 (arXiv 2107.01327). Postero-anterior films; a polygon a rib, R1 to R10 and
L1 to L10, right and left of the patient.

    train/img/VinDr_RibCXR_train_000.png   train/Vindr_RibCXR_train_mask.json
    val/img/VinDr_RibCXR_val_000.png       val/Vindr_RibCXR_val_mask.json

    {"img": {"0": "data/train/img/VinDr_RibCXR_train_000.png"}, "R1": {"0": [{"x": 1027.8, "y": 470.7}, …]}, …}

The 49 films of ``val`` are the paper's independent test set, so they count as official test films, and
validation is a tenth of train, by a hash. No patient is named: each film counts as one of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import Known, MaskMaker
from raydino.readers.cohort import TRAIN_OR_VAL, Row, find
from raydino.readers.mask_makers import Point, PolygonMask
from raydino.readers.masked_cohort import MaskedCohort

_RIBS = {f"{side[0].upper()}{n}": f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 11)}
Polygon = tuple[Point, ...]


class VindrRibCxr(MaskedCohort):
    """Implements ``Reader``. Films are named ``train/<file>`` and ``val/<file>``."""

    title = "VinDr-RibCXR"
    suffixes = (".png",)
    published = (("train films", 196), ("val films", 49))
    splits = (("train", TRAIN_OR_VAL), ("val", "test"))
    population = "Vietnam"

    @classmethod
    def recognises(cls, source: str) -> bool:
        try:
            return any(_table(Path(source), part) for part, _ in cls.splits)
        except (OSError, ValueError):
            return False

    def _read(self) -> pd.DataFrame:
        tables = {part: table for part, _ in self.splits if (table := _table(self.source, part)) is not None}
        if not tables:
            wanted = "wanted: train/Vindr_RibCXR_train_mask.json, val/Vindr_RibCXR_val_mask.json"
            raise UserError("lacks the polygons of VinDr-RibCXR", where=self.source, remedy=wanted)
        on_disk = {"/".join((*path.parts[-3:-2], path.name)): str(path) for path in map(PurePosixPath, self.on_disk)}
        self._polygons = {
            f"{part}/{name}": ribs for part, table in tables.items() for name, ribs in read_polygons(table).items()
        }
        films = pd.DataFrame({"name": list(self._polygons), "patient": ""})
        films["path"] = [on_disk.get(name, "") for name in films["name"]]
        films["official"] = [name.split("/")[0] for name in films["name"]]
        return films

    def _known(self, row: Row) -> Known:
        return Known(view="PA")

    def _masks(self, row: Row) -> Mapping[str, Path | MaskMaker]:
        film = self.source / (row["path"] or row["name"])
        return {rib: PolygonMask(points, film) for rib, points in self._polygons[row["name"]].items()}


def _table(source: Path, part: str) -> Path | None:
    return find(source, *(f"{above}{part}/Vindr_RibCXR_{part}_mask.json" for above in ("", "*/", "*/*/")))


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
