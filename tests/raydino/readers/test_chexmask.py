from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from raydino.artifacts.dataset import Dataset
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe
from raydino.errors import UserError
from raydino.readers.chexmask import CheXmask, film_key
from raydino.readers.mask_folder import MaskFolder
from raydino.readers.mask_source import open_masks

COLUMNS = "Dice RCA (Mean),Dice RCA (Max),Landmarks,Left Lung,Right Lung,Heart,Height,Width"
LANDMARKS = '"[[  1   2]\n [  3   4]]"'  # a numpy array's text, over several lines
# 3 × 4 pixels along the rows, the first being 1
MASKS = "2 1 6 3,9 2,12 1,3,4"


def table(path: Path, *rows: str, name: str = "image_id", columns: str = COLUMNS) -> Path:
    path.write_text("\n".join((f"{name},{columns}", *rows)) + "\n")
    return path


def made(masks: CheXmask, name: str, uid: str = "") -> dict[str, npt.NDArray[np.bool_]]:
    found = {}
    for structure, maker in masks.of(uid, name).items():
        assert not isinstance(maker, Path)
        found[structure] = maker()
    return found


def test_masks_of_a_film(tmp_path: Path) -> None:
    path = table(
        tmp_path / "VinDr-CXR.csv", f"a,0.9,0.95,{LANDMARKS},{MASKS}", f"b,0.8,0.8,{LANDMARKS},1 1,2 1,3 1,1,3"
    )
    masks = CheXmask.open(path)
    left = [[False, True, False, False], [False, True, True, True], [False] * 4]
    right = [[False] * 4, [False] * 4, [True, True, False, False]]
    found = made(masks, "train/a.dicom")
    assert list(found) == ["left_lung", "right_lung", "heart", "lungs"]
    np.testing.assert_array_equal(found["left_lung"], left)
    np.testing.assert_array_equal(found["right_lung"], right)
    np.testing.assert_array_equal(found["lungs"], np.logical_or(left, right))
    assert np.argwhere(found["heart"]).tolist() == [[2, 3]]
    assert made(masks, "x/b.png")["heart"].tolist() == [[False, False, True]]
    assert made(masks, "name.dcm", uid="b").keys() == found.keys()
    assert masks.of("", "c.png") == masks.of("", "") == {}
    assert masks.count() == 8
    assert masks.files() == [path]


def test_bad_segmentations_are_left_out(tmp_path: Path) -> None:
    rows = [
        f"good,0.7,0.7,[],{MASKS}",
        f"bad,0.69,0.9,[],{MASKS}",
        f"interchanged,0.9,0.69,[],{MASKS}",
        f"none,,,[],{MASKS}",
        "short,0.9,0.9",
    ]
    path = table(tmp_path / "t.csv", *rows)
    masks = CheXmask.open(path)
    assert masks.count() == 4
    assert [name for name in ("good", "bad", "interchanged", "none", "short") if masks.of("", name)] == ["good"]
    assert CheXmask.open(path, least_dice=0.5).count() == 12


@pytest.mark.parametrize(
    ("column", "written", "name"),
    [
        ("Image Index", "00000001_000.png", "images_001/images/00000001_000.png"),
        ("dicom_id", "02aa804e-bde0afdd", "files/p10/p10000032/s50414267/02aa804e-bde0afdd.dcm"),
        ("ImageID", "1.2.3.4.jpg", "1.2.3.4"),
        ("Path", "train/patient00001/study1/view1_frontal.jpg", "patient00001/study1/view1_frontal.jpg"),
        (
            "Path",
            "CheXpert-v1.0/valid/patient64541/study1/view1_frontal.jpg",
            "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg",
        ),
    ],
)
def test_films_as_their_data_sets_name_them(tmp_path: Path, column: str, written: str, name: str) -> None:
    masks = CheXmask.open(table(tmp_path / "t.csv", f"{written},0.9,0.9,[],{MASKS}", name=column))
    assert len(masks.of("", name)) == 4
    assert not masks.of("", name.replace("1", "7").replace("a", "b"))


def test_equal_file_names_of_two_patients_are_told_apart() -> None:
    one, two = (film_key(f"train/patient0000{number}/study1/view1_frontal.jpg") for number in (1, 2))
    assert one != two
    assert film_key("1.2.840.113") == "1.2.840.113"


def test_what_a_maker_meets_later(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "a,0.9,0.9,[],,5 9,x 1,3,4")
    found = CheXmask.open(path).of("", "a")
    for structure, message in {"left_lung": "no run lengths", "right_lung": "beyond", "heart": "whole numbers"}.items():
        with pytest.raises(ValueError, match=message):
            found[structure]()  # type: ignore[operator]
    path.write_text(path.read_text().replace("\na,", "\nb,"))
    with pytest.raises(ValueError, match="another film"):
        found["heart"]()  # type: ignore[operator]
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        found["lungs"]()  # type: ignore[operator]


def test_what_travels_to_a_worker_is_small(tmp_path: Path) -> None:
    rows = [f"film{number},0.9,0.9,[],{'1 1 ' * 500},1 1,1 1,3,4" for number in range(1_000)]
    masks = CheXmask.open(table(tmp_path / "t.csv", *rows))
    packed = pickle.dumps(masks)
    assert len(packed) < 30_000 < (tmp_path / "t.csv").stat().st_size / 50
    assert pickle.loads(packed).of("", "film999.png") == masks.of("", "film999.png") != {}  # noqa: S301


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: table(p, name="film"),
            "lacks a column Image Index; wanted: a table of CheXmask's OriginalResolution",
        ),
        (lambda p: table(p, columns=COLUMNS.removesuffix(",Height,Width")), "lacks a column Height"),
        (lambda p: p.write_text(""), "lacks a column Image Index"),
        (lambda p: p.write_bytes(b"\xff\xfe,\n"), "is not a CSV file in UTF-8"),
    ],
)
def test_faults(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "t.csv")
    with pytest.raises(UserError, match=message):
        open_masks(tmp_path / "t.csv")


def test_a_folder_or_a_table(tmp_path: Path) -> None:
    (tmp_path / "masks" / "heart").mkdir(parents=True)
    (tmp_path / "masks" / "heart" / "a.png").touch()
    assert isinstance(open_masks(tmp_path / "masks"), MaskFolder)
    assert isinstance(open_masks(table(tmp_path / "t.csv")), CheXmask)
    with pytest.raises(UserError, match="no such directory"):
        open_masks(tmp_path / "gone")
    (tmp_path / "t.csv.gz").touch()
    with pytest.raises(UserError, match="is compressed; unpack it"):
        open_masks(tmp_path / "t.csv.gz")


def test_through_ingest(tmp_path: Path) -> None:
    source = tmp_path / "films"
    source.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(rng.integers(0, 255, (30, 40), np.uint8)).save(source / name)
    (source / "images.csv").write_text("file,patient_id\na.png,A\nb.png,B\nc.png,C\n")
    rows = " ".join(f"{40 * row + 11} 20" for row in range(5, 15))  # rows 5 to 14, columns 10 to 29
    path = table(
        tmp_path / "t.csv",
        f"a.png,0.9,0.9,[],{rows},1 1,41 1,30,40",
        f"b.png,0.9,0.9,[],{rows},1 1,41 1,40,30",  # of another size than the film
        f"x.png,0.9,0.9,[],{rows},1 1,41 1,30,40",
        name="Image Index",
    )
    summary = ingest(
        source,
        tmp_path / "out",
        IngestOptions(recipe=PixelRecipe(30), masks=path, crosswalk=tmp_path / "x.csv", workers=2),
    )
    assert summary.masks == {"heart": 1, "left_lung": 1, "lungs": 1, "right_lung": 1}
    assert summary.masks_without_film == 8
    dataset = Dataset.open(tmp_path / "out")
    sample = pd.read_csv(tmp_path / "x.csv", dtype=str).set_index("path")["sample_id"]["a.png"]
    expected = np.zeros((30, 40), bool)
    expected[5:15, 10:30] = True
    np.testing.assert_array_equal(dataset.mask("left_lung", sample), expected)
