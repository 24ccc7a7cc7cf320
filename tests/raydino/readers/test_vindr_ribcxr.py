from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, open_reader
from raydino.readers.cohort import train_or_val
from raydino.readers.vindr_ribcxr import VindrRibCxr

RIBS = [f"{side}{number}" for side in "RL" for number in range(1, 11)]


def polygon(*points: tuple[float, float]) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in points]


def table(part: str, films: int, **ribs: dict[str, Any]) -> dict[str, Any]:
    names = {str(number): f"data/{part}/img/VinDr_RibCXR_{part}_{number:03}.png" for number in range(films)}
    return {"img": names} | {rib: ribs.get(rib, {}) for rib in RIBS}


def tree(root: Path) -> Path:
    upper = polygon((20.2, 5), (30, 5.4), (30, 7), (20, 7))
    lower = polygon((3, 10), (9, 10), (9, 15), (3, 15))
    train = table("train", 2, R1={"0": lower, "1": "None"}, L10={"0": upper, "1": upper})
    val = table("val", 1, L2={"0": lower})
    for part, tables in {"train": train, "val": val}.items():
        (root / "data" / part / "img").mkdir(parents=True)
        (root / "data" / part / f"Vindr_RibCXR_{part}_mask.json").write_text(json.dumps(tables))
    for name in ("train/img/VinDr_RibCXR_train_000", "val/img/VinDr_RibCXR_val_000"):
        Image.fromarray(np.zeros((25, 40), np.uint8)).save(root / "data" / f"{name}.png")
    return root


def test_films_and_ribs(tmp_path: Path) -> None:
    root = tree(tmp_path)
    assert open_reader(str(root))[0] == open_reader(str(root / "data"))[0] == "vindr-ribcxr"
    reader = VindrRibCxr(str(root), ReaderOptions())
    first, second, third = reader.images()
    assert reader.total() == 3
    assert reader.labels == ()
    assert first.name == "train/VinDr_RibCXR_train_000.png"
    assert first.path == root / "data" / "train" / "img" / "VinDr_RibCXR_train_000.png"
    assert not first.is_dicom
    assert (first.known.patient_id, first.known.view, first.known.population) == (None, "PA", "Vietnam")
    assert [image.known.split for image in (first, second, third)] == [
        train_or_val("train/VinDr_RibCXR_train_000.png"),
        train_or_val("train/VinDr_RibCXR_train_001.png"),
        "test",
    ]
    assert [set(image.masks) for image in (first, second, third)] == [
        {"rib_right_1", "rib_left_10"},
        {"rib_left_10"},
        {"rib_left_2"},
    ]
    assert list(reader.notes) == [
        "196 train films are published, 2 are here",
        "49 val films are published, 1 are here",
        "1 listed films are missing",
    ]


def test_polygons_are_filled_at_the_films_size(tmp_path: Path) -> None:
    first, second, _ = VindrRibCxr(str(tree(tmp_path)), ReaderOptions()).images()
    expected = {name: np.zeros((25, 40), bool) for name in ("rib_right_1", "rib_left_10")}
    expected["rib_right_1"][10:16, 3:10] = True
    expected["rib_left_10"][5:8, 20:31] = True
    for rib, maker in first.masks.items():
        assert not isinstance(maker, Path)
        np.testing.assert_array_equal(maker(), expected[rib])
    absent = second.masks["rib_left_10"]
    assert not isinstance(absent, Path)
    with pytest.raises(OSError, match="No such file"):
        absent()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "lacks 'img'; wanted: img, R1"),
        (json.dumps({"img": {"0": "a.png"}, "R1": {}}), "lacks 'L1'"),
        ("[1]", "is no table of ribs"),
        ("{", "is no table of ribs"),
        (json.dumps(table("train", 1, L1={"0": [1, 2]})), "is no table of ribs"),
    ],
)
def test_faults(tmp_path: Path, content: str, message: str) -> None:
    tree(tmp_path)
    (tmp_path / "data" / "train" / "Vindr_RibCXR_train_mask.json").write_text(content)
    with pytest.raises(UserError, match=message):
        VindrRibCxr(str(tmp_path), ReaderOptions())


def test_no_table(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    with pytest.raises(
        UserError, match="lacks the polygons of VinDr-RibCXR; wanted: train/Vindr_RibCXR_train_mask.json"
    ):
        VindrRibCxr(str(tmp_path), ReaderOptions())
