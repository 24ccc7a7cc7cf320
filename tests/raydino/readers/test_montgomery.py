from __future__ import annotations

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
from raydino.readers.base import ReaderOptions, open_reader
from raydino.readers.montgomery import Montgomery

RAMP = np.add.outer(np.arange(30) * 4, np.arange(40))
LEFT, RIGHT = np.zeros((2, 30, 40), bool)
LEFT[4:20, 24:36] = True  # the patient's left is on the right of the film
RIGHT[6:26, 4:14] = True


def save(path: Path, pixels: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def tree(root: Path) -> Path:
    for number, stem in enumerate(("MCUCXR_0001_0", "MCUCXR_0104_1", "MCUCXR_0150_1")):
        save(root / "CXR_png" / f"{stem}.png", np.roll(RAMP, 7 * number, axis=0))
        save(root / "ManualMask" / "leftMask" / f"{stem}.png", LEFT * 255)
        save(root / "ManualMask" / "rightMask" / f"{stem}.png", RIGHT * 255)
    (root / "ManualMask" / "rightMask" / "MCUCXR_0150_1.png").unlink()
    (root / "CXR_png" / "Thumbs.db").touch()
    (root / "ClinicalReadings").mkdir()
    (root / "ClinicalReadings" / "MCUCXR_0001_0.txt").write_text("Patient's Sex: F \nPatient's Age: 027Y\nnormal\n")
    (root / "ClinicalReadings" / "MCUCXR_0104_1.txt").write_text(
        "Patient's Sex: M\nPatient's Age: 040Y\nCavitary nodular infiltrate in RUL;\nactive TB\n"
    )
    return root


def test_what_is_known_of_each_film(tmp_path: Path) -> None:
    root = tree(tmp_path / "MontgomerySet")
    assert open_reader(str(root))[0] == "montgomery"
    reader = Montgomery(str(root), ReaderOptions())
    normal, ill, third = reader.images()
    assert reader.total() == 3
    assert reader.labels == ("No Finding", "Tuberculosis")
    assert (normal.name, normal.path, normal.is_dicom) == (
        "MCUCXR_0001_0.png",
        root / "CXR_png" / "MCUCXR_0001_0.png",
        False,
    )
    known = normal.known
    assert (known.patient_id, known.view, known.split, known.age_years, known.sex) == (
        "MCUCXR_0001",
        "PA",
        None,
        27,
        "F",
    )
    assert (known.population, known.site, known.spacing_mm) == ("United States", "Montgomery County", 0.0875)
    assert (ill.known.age_years, ill.known.sex) == (40, "M")
    assert (third.known.age_years, third.known.sex, third.report) == (None, None, None)
    assert [image.labels for image in (normal, ill)] == [
        {"No Finding": 1, "Tuberculosis": 0},
        {"No Finding": 0, "Tuberculosis": 1},
    ]
    assert [image.report for image in (normal, ill)] == ["normal", "Cavitary nodular infiltrate in RUL; active TB"]
    assert list(reader.notes) == [
        "58 films with tuberculosis are published, 2 are here",
        "138 films with masks are published, 3 are here",
        "1 films have no clinical reading",
        "138 films are published, 3 are here",
    ]


def test_masks_and_their_union(tmp_path: Path) -> None:
    root = tree(tmp_path)
    normal, _, third = Montgomery(str(root), ReaderOptions()).images()
    assert set(normal.masks) == {"left_lung", "right_lung", "lungs"}
    assert normal.masks["left_lung"] == root / "ManualMask" / "leftMask" / "MCUCXR_0001_0.png"
    lungs = normal.masks["lungs"]
    assert not isinstance(lungs, Path)
    np.testing.assert_array_equal(lungs(), LEFT | RIGHT)
    assert set(third.masks) == {"left_lung"}


def test_through_ingest(tmp_path: Path) -> None:
    root = tree(tmp_path / "MontgomerySet")
    summary = ingest(
        root, tmp_path / "out", IngestOptions(PixelRecipe(15), with_reports=True, crosswalk=tmp_path / "x.csv")
    )
    assert (summary.accepted, summary.patients, summary.reports) == (3, 3, 2)
    assert summary.masks == {"left_lung": 3, "lungs": 2, "right_lung": 2}
    dataset = Dataset.open(tmp_path / "out")
    ids = pd.read_csv(tmp_path / "x.csv", dtype=str).set_index("path")["sample_id"]
    sample = ids["MCUCXR_0104_1.png"]
    np.testing.assert_array_equal(dataset.mask("left_lung", sample), LEFT[::2, ::2])  # half the size, even edges
    np.testing.assert_array_equal(dataset.mask("lungs", sample), (LEFT | RIGHT)[::2, ::2])
    assert dataset.labels.loc[sample].to_dict() == {"No Finding": 0, "Tuberculosis": 1}
    assert dataset.accepted.loc[sample, "spacing_mm"] == pytest.approx(0.175)
    person = dataset.demographics.loc[sample]
    assert (person["age_years"], person["sex"], person["population"]) == (40, "M", "United States")


def test_faults(tmp_path: Path) -> None:
    for name in ("MCUCXR_1.png", "CHNCXR_0001_0.png", "deep/MCUCXR_0001_0.png"):
        save(tmp_path / "CXR_png" / name, LEFT)
    with pytest.raises(UserError, match="lists no film of Montgomery"):
        Montgomery(str(tmp_path), ReaderOptions())
