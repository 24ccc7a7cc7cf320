from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, open_reader
from raydino.readers.cohort import train_or_val
from raydino.readers.pax_ray import PaxRay, structure_of

CATEGORIES = {1: "lung", 2: "left lung ", 3: "posterior 5th rib left", 4: "heart"}


def coco(films: dict[int, str], annotations: list[tuple[int, int, list[int]]]) -> dict[str, Any]:
    return {
        "info": "PAX-Ray++, v2",
        "images": [{"id": number, "file_name": name, "height": 4, "width": 3} for number, name in films.items()],
        "categories": [{"id": number, "name": name} for number, name in CATEGORIES.items()],
        "annotations": [
            {"image_id": image, "category_id": category, "segmentation": {"size": [4, 3], "counts": counts}}
            for image, category, counts in annotations
        ],
    }


def tree(root: Path) -> Path:
    folder = root / "paxray_images_unfiltered" / "images_patlas"
    folder.mkdir(parents=True)
    train = {1: "RibFrac_056_frontal.png", 2: "RibFrac_056_lateral.png", 3: "Gone_1_frontal.png"}
    for name in (train[1], train[2], "LIDC_3_frontal.png", "not_listed_frontal.png"):
        (folder / name).touch()
    # 4 × 3 pixels down the columns: the first two columns' upper halves overlap with all of the second column
    masks = [(1, 1, [0, 2, 2, 2, 6]), (1, 2, [4, 4, 4]), (1, 3, [11, 1]), (2, 4, [12])]
    (root / "paxray_train_val.json").write_text(json.dumps(coco(train, masks)))
    (root / "paxray_test.json").write_text(json.dumps(coco({1: "LIDC_3_frontal.png"}, [(1, 4, [0, 12])])))
    return root


def test_films(tmp_path: Path) -> None:
    root = tree(tmp_path)
    assert open_reader(str(root))[0] == "pax-ray"
    reader = PaxRay(str(root), ReaderOptions())
    images = {image.name: image for image in reader.images()}
    assert list(images) == [
        "Gone_1_frontal.png",
        "LIDC_3_frontal.png",
        "RibFrac_056_frontal.png",
        "RibFrac_056_lateral.png",
    ]
    frontal, lateral = images["RibFrac_056_frontal.png"], images["RibFrac_056_lateral.png"]
    assert frontal.path == root / "paxray_images_unfiltered" / "images_patlas" / "RibFrac_056_frontal.png"
    assert not frontal.is_dicom
    assert frontal.known.patient_id == lateral.known.patient_id == frontal.known.study_id == "RibFrac_056"
    assert (frontal.known.view, lateral.known.view) == (None, "LATERAL")
    assert frontal.known.split == lateral.known.split == train_or_val("RibFrac_056")
    assert images["LIDC_3_frontal.png"].known.split == "test"
    assert reader.labels == ()
    assert list(reader.notes) == [
        "13,278 train_val films are published, 3 are here",
        "1,475 test films are published, 1 are here",
        "1 listed films are missing",
        "1 image files are listed nowhere and left out",
    ]


def test_overlapping_masks(tmp_path: Path) -> None:
    images = {image.name: image for image in PaxRay(str(tree(tmp_path)), ReaderOptions()).images()}
    made = {}
    for structure, maker in images["RibFrac_056_frontal.png"].masks.items():
        assert not isinstance(maker, Path)
        made[structure] = maker()
    expected = {structure: np.zeros((4, 3), bool) for structure in ("lungs", "left_lung", "rib_left_5_posterior")}
    expected["lungs"][:2, :2] = True
    expected["left_lung"][:, 1] = True
    expected["rib_left_5_posterior"][3, 2] = True
    assert made.keys() == expected.keys()
    for structure, mask in made.items():
        np.testing.assert_array_equal(mask, expected[structure])
    assert set(images["RibFrac_056_lateral.png"].masks) == {"heart"}
    test = images["LIDC_3_frontal.png"].masks["heart"]
    assert not isinstance(test, Path)
    assert test().all()


@pytest.mark.parametrize(
    ("category", "structure"),
    [
        ("right lung", "right_lung"),
        ("clavicle right", "right_clavicle"),
        ("Anterior 10th Rib right ", "rib_right_10_anterior"),
        ("posterior 1st rib left", "rib_left_1_posterior"),
        ("12th rib", "12th_rib"),
        ("rib_cartilage", "rib_cartilage"),
        ("vertebrae T12", "vertebrae_t12"),
    ],
)
def test_names_of_structures(category: str, structure: str) -> None:
    assert structure_of(category) == structure


def test_faults(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "paxray_test.json").write_text("[]")
    with pytest.raises(UserError, match="is no COCO file"):
        PaxRay(str(tmp_path), ReaderOptions())
