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
from pathlib import Path, PurePosixPath
from typing import Any

from raydino.errors import UserError
from raydino.readers.base import Known, MaskMaker, ReaderOptions, SourceImage
from raydino.readers.layout import counted, differences, find, require
from raydino.readers.mask_makers import PolygonMask

_TABLES = {"train": "train/Vindr_RibCXR_train_mask.json", "val": "val/Vindr_RibCXR_val_mask.json"}
_SPLITS = {"train": "train", "val": "test"}
_PUBLISHED = {"train": 196, "val": 49}
_RIBS = {f"{side[0].upper()}{n}": f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 11)}


class VindrRibCxr:
    """Implements ``Reader``. Films come in order of their names."""

    labels: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}

    def __init__(self, source: str, options: ReaderOptions) -> None:
        require(source, options, _TABLES.values(), "polygons of VinDr-RibCXR")
        self._films: dict[str, tuple[Path, str, dict[str, tuple[tuple[float, float], ...]]]] = {}
        counts = {}
        for part, table in _TABLES.items():
            path = find(source, [table])
            ribs = _polygons(path) if path else {}
            counts[f"films in {part}"] = len(ribs)
            for name, polygons in ribs.items():
                assert path is not None
                self._films[f"{part}/img/{name}"] = (path.parent / "img" / name, _SPLITS[part], polygons)
        self.notes: Sequence[str] = [
            *differences(counts, {f"films in {part}": number for part, number in _PUBLISHED.items()}),
            *counted(sum(not path.is_file() for path, *_ in self._films.values()), "films are listed but lie nowhere"),
        ]

    @classmethod
    def recognises(cls, source: str) -> bool:
        return find(source, _TABLES.values()) is not None

    def total(self) -> int | None:
        return len(self._films)

    def images(self) -> Iterator[SourceImage]:
        for name, (path, split, polygons) in sorted(self._films.items()):
            masks: dict[str, Path | MaskMaker] = {rib: PolygonMask(points, path) for rib, points in polygons.items()}
            yield SourceImage(
                name,
                path=path,
                is_dicom=False,
                known=Known(patient_id=path.stem, view="PA", split=split, population="Viet Nam"),
                masks=masks,
            )


def _polygons(path: Path) -> dict[str, dict[str, tuple[tuple[float, float], ...]]]:
    """The ribs' polygons by film's name and rib. Raises UserError."""
    try:
        tables: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
        return {
            PurePosixPath(name).name: {
                rib: tuple((float(point["x"]), float(point["y"])) for point in points)
                for key, rib in _RIBS.items()
                if (points := tables[key].get(number))
            }
            for number, name in tables["img"].items()
        }
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path) from None
    except KeyError as error:
        raise UserError(f"lacks {error}", where=path, remedy="wanted: img, R1 … R10, L1 … L10") from None
    except (ValueError, TypeError, AttributeError):
        raise UserError("is no table of ribs as VinDr-RibCXR has it", where=path) from None
