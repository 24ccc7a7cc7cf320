from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raydino.artifacts.images import decode_png
from raydino.dicom.film import Work, read_film
from raydino.dicom.pixels import PixelRecipe
from raydino.errors import UserError
from raydino.readers.base import RawPixels, ReaderOptions, open_reader
from raydino.readers.cohort import train_or_val
from raydino.readers.jsrt import Clinical, Jsrt, parse_clinical

NODULES = (
    "JPCLN001.IMG\t5\t15\t53\tmale\t1634\t692\tmalignant\tl.upper lobe\tlung cancer\t\t\r"
    "JPCLN106.IMG\t2\t18\t?\tmale\t246\t1233\tmalignant\tr.lower lobe\tlung cancer\t\t\r"
)
NORMAL = "JPCNN001.IMG   30   female  non-nodule\rJPCNN002.IMG   62     male  non-nodule\r"


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("latin-1"))
    return path


def tree(root: Path) -> Path:
    for name in ("JPCLN001.IMG", "JPCLN106.IMG", "JPCNN001.IMG"):
        touch(root / "All247images" / name)
    touch(root / "Clinical_Information" / "CLNDAT_EN.txt", NODULES)
    touch(root / "Clinical_Information" / "CNNDAT_EN.TXT", NORMAL)
    return root


def segment(root: Path, fold: str, structure: str, stem: str, box: tuple[slice, slice]) -> None:
    mask = np.zeros((1024, 1024), np.uint8)
    mask[box] = 255
    path = root / "scratch" / fold / "masks" / structure / f"{stem}.gif"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def test_what_is_known_of_each_film(tmp_path: Path) -> None:
    tree(tmp_path / "JSRT")
    assert open_reader(str(tmp_path))[0] == open_reader(str(tmp_path / "JSRT"))[0] == "jsrt"
    reader = Jsrt(str(tmp_path), ReaderOptions())
    images = {image.name: image for image in reader.images()}
    assert list(images) == ["JPCLN001.IMG", "JPCLN106.IMG", "JPCNN001.IMG", "JPCNN002.IMG"]
    first = images["JPCLN001.IMG"]
    assert first.path == tmp_path / "JSRT" / "All247images" / "JPCLN001.IMG"
    assert (first.is_dicom, first.raw) == (False, RawPixels(2048, 2048, ">u2", 12, inverted=True))
    known = first.known
    assert (known.patient_id, known.view, known.split) == ("JPCLN001", "PA", None)
    assert (known.age_years, known.sex, known.spacing_mm, known.population) == (53, "M", 0.175, None)
    assert first.report == "malignant l.upper lobe lung cancer"
    assert [image.known.age_years for image in images.values()] == [53, None, 30, 62]
    assert [image.known.sex for image in images.values()] == ["M", "M", "F", "M"]
    assert [image.labels for image in images.values()] == [{"Nodule": 1}, {"Nodule": 1}, {"Nodule": 0}, {"Nodule": 0}]
    missing = images["JPCNN002.IMG"].path
    assert missing is not None
    assert not missing.exists()
    assert list(reader.notes) == [
        "SCR's masks (fold1/masks, fold2/masks) are not there, so no official split either",
        "154 films with a nodule are published, 2 are here",
        "247 films are published, 4 are here",
        "1 listed films are missing",
    ]


def test_masks_at_the_films_size_and_folds(tmp_path: Path) -> None:
    tree(tmp_path)
    boxes = {
        "left lung": np.s_[100:600, 560:900],
        "right lung": np.s_[120:700, 100:450],
        "heart": np.s_[400:701, 400:700],
        "left clavicle": np.s_[90:120, 600:800],
        "right clavicle": np.s_[95:125, 200:400],
    }
    for structure, box in boxes.items():
        segment(tmp_path, "fold1", structure, "JPCLN001", box)
    segment(tmp_path, "fold2", "heart", "JPCNN001", boxes["heart"])
    first, second, third, _ = Jsrt(str(tmp_path), ReaderOptions()).images()
    assert set(first.masks) == {"left_lung", "right_lung", "lungs", "heart", "left_clavicle", "right_clavicle"}
    assert (second.masks, set(third.masks)) == ({}, {"heart"})
    assert [image.known.split for image in (first, second, third)] == [train_or_val("JPCLN001"), None, "test"]
    made = {}
    for structure, maker in first.masks.items():
        assert not isinstance(maker, Path)
        made[structure] = maker()
    expected = np.zeros((2048, 2048), bool)
    expected[800:1402, 800:1400] = True
    np.testing.assert_array_equal(made["heart"], expected)
    assert np.argwhere(made["left_clavicle"])[[0, -1]].tolist() == [[180, 1200], [239, 1599]]
    np.testing.assert_array_equal(made["lungs"], made["left_lung"] | made["right_lung"])
    assert made["lungs"].sum() == 4 * (500 * 340 + 580 * 350)


def test_a_film_is_turned_from_white_to_black(tmp_path: Path) -> None:
    tree(tmp_path)
    stored = np.add.outer(np.arange(2048), np.arange(2048)) * 4095 // (2 * 2047)  # lowest at the top left
    (tmp_path / "All247images" / "JPCLN001.IMG").write_bytes(stored.astype(">u2").tobytes())
    segment(tmp_path, "fold1", "heart", "JPCLN001", np.s_[0:256, 0:512])
    image, short, *_ = Jsrt(str(tmp_path), ReaderOptions()).images()
    reading = read_film(Work(PixelRecipe(64)), image)
    assert reading.film is not None
    assert (reading.source_bits, reading.film.unusable_masks) == (12, 0)
    assert reading.film.spacing_mm == pytest.approx(0.175 * 2048 / 64)
    film = decode_png(reading.film.png, where="")
    assert film[0, 0] > 250 > 5 > film[-1, -1]
    expected = np.zeros((64, 64), np.uint8)
    expected[:16, :32] = 255
    np.testing.assert_array_equal(decode_png(reading.film.masks["heart"], where=""), expected)
    assert read_film(Work(PixelRecipe(64)), short).reason == "unreadable"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", ""])
def test_rows_end_in_any_way(end: str) -> None:
    rows = parse_clinical((NODULES + NORMAL).replace("\r", end))
    assert rows == {
        "JPCLN001": Clinical(53, "M", "malignant l.upper lobe lung cancer"),
        "JPCLN106": Clinical(None, "M", "malignant r.lower lobe lung cancer"),
        "JPCNN001": Clinical(30, "F", "non-nodule"),
        "JPCNN002": Clinical(62, "M", "non-nodule"),
    }


def test_folders_by_kind(tmp_path: Path) -> None:
    touch(tmp_path / "Nodule154images" / "JPCLN001.IMG")
    touch(tmp_path / "NonNodule93images" / "JPCNN001.IMG")
    touch(tmp_path / "CLNDAT_EN.txt", NODULES)
    assert open_reader(str(tmp_path))[0] == "jsrt"
    reader = Jsrt(str(tmp_path), ReaderOptions())
    assert [image.name for image in reader.images()] == ["JPCLN001.IMG", "JPCLN106.IMG", "JPCNN001.IMG"]
    assert "1 films are in no clinical table" in reader.notes


def test_faults(tmp_path: Path) -> None:
    touch(tmp_path / "All247images" / "JPCLN001.IMG")
    with pytest.raises(UserError, match="lacks CLNDAT_EN.txt and CNNDAT_EN.TXT; get all tables"):
        Jsrt(str(tmp_path), ReaderOptions())
