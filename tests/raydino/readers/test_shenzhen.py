from __future__ import annotations

from pathlib import Path

import pytest

from raydino.readers.base import ReaderOptions, open_reader
from raydino.readers.shenzhen import Shenzhen


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def tree(root: Path) -> Path:
    touch(root / "CXR_png" / "CHNCXR_0001_0.png")
    touch(root / "CXR_png" / "CHNCXR_0327_1.png")
    touch(root / "CXR_png" / "MCUCXR_0001_0.png")  # as in Kaggle's union of both sets
    touch(root / "ClinicalReadings" / "CHNCXR_0001_0.txt", "male 16month\nnormal")
    touch(root / "ClinicalReadings" / "CHNCXR_0327_1.txt", "femal 28yrs\nSTB\n")
    return root


def test_what_is_known_of_each_film(tmp_path: Path) -> None:
    root = tree(tmp_path / "ChinaSet_AllFiles")
    assert open_reader(str(root))[0] == "shenzhen"
    reader = Shenzhen(str(root), ReaderOptions())
    normal, ill = reader.images()
    assert (normal.name, normal.path) == ("CHNCXR_0001_0.png", root / "CXR_png" / "CHNCXR_0001_0.png")
    assert (normal.known.age_years, normal.known.sex, normal.known.view) == (1.33, "M", "PA")
    assert (ill.known.patient_id, ill.known.age_years, ill.known.sex, ill.report) == ("CHNCXR_0327", 28, "F", "STB")
    assert (ill.known.population, ill.known.site) == ("China", "Shenzhen No. 3 People's Hospital")
    assert ill.known.spacing_mm is None
    assert ill.labels == {"No Finding": 0, "Tuberculosis": 1}
    assert normal.labels == {"No Finding": 1, "Tuberculosis": 0}
    assert normal.masks == {}
    assert list(reader.notes) == [
        "336 films with tuberculosis are published, 1 are here",
        "566 films with masks are published, 0 are here",
        "662 films are published, 2 are here",
    ]


@pytest.mark.parametrize("folder", ["ChinaSet_AllFiles/mask", "masks", "mask/mask", "ChinaSet_AllFiles/masks"])
def test_the_masks_that_were_added(tmp_path: Path, folder: str) -> None:
    tree(tmp_path / "ChinaSet_AllFiles")
    path = touch(tmp_path / folder / "CHNCXR_0327_1_mask.png")
    normal, ill = Shenzhen(str(tmp_path / "ChinaSet_AllFiles"), ReaderOptions()).images()
    assert (normal.masks, ill.masks) == ({}, {"lungs": path})
