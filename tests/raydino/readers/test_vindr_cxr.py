from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, open_reader
from raydino.readers.cohort import train_or_val
from raydino.readers.vindr_cxr import VindrCxr

FINDINGS = "Aortic enlargement,Nodule/Mass,Pleural effusion,Rib fracture,Other lesion,Tuberculosis,No finding"
TRAIN = f"image_id,rad_ID,{FINDINGS}\n"
TRAIN += "aaa,R1,1,0,1,0,0,0,0\naaa,R2,1,1,0,0,1,0,0\naaa,R3,0,0,0,0,0,0,0\n"
TRAIN += "bbb,R1,0,0,0,0,0,0,1\nbbb,R4,0,0,0,0,0,0,1\nbbb,R5,0,0,0,0,0,0,1\n"
TEST = f"image_id,{FINDINGS}\nccc,0,1,0,1,0,1,0\n"


@pytest.fixture
def vindr(tree: Any) -> Path:
    tables = {"annotations/image_labels_train.csv": TRAIN, "annotations/image_labels_test.csv": TEST}
    return tree({**tables, "train/aaa.dicom": "", "test/ccc.dicom": "", "train/zzz.dicom": ""})


def test_the_majority_of_three_and_the_consensus_of_test(vindr: Path) -> None:
    name, reader = open_reader(str(vindr))
    assert (name, type(reader), reader.total()) == ("vindr-cxr", VindrCxr, 3)
    tested, first, normal = reader.images()
    assert [tested.name, first.name, normal.name] == ["test/ccc", "train/aaa", "train/bbb"]
    assert (first.path, first.is_dicom, first.chest_film) == (vindr / "train/aaa.dicom", True, True)
    assert first.labels == {
        "No Finding": 0.0,
        "Pleural Effusion": 0.0,  # one of three
        "Nodule or Mass": 0.0,
        "Rib Fracture": 0.0,
        "Tuberculosis": 0.0,
        "Aortic Enlargement": 1.0,  # two of three
    }
    assert first.known == Known(split=train_or_val("train/aaa"), population="Vietnam")
    assert normal.labels["No Finding"] == 1.0
    assert tested.known.split == "test"
    assert (tested.labels["Nodule or Mass"], tested.labels["Tuberculosis"]) == (1.0, 1.0)
    assert reader.left_out == {"Other lesion": "no finding of the vocabulary"}
    assert reader.notes == (
        "15,000 train films are published, 2 are here",
        "3,000 test films are published, 1 are here",
        "1 listed films are missing",
        "1 image files are listed nowhere and left out",
    )


def test_half_of_two_is_no_majority_and_no_reading_is_unknown(tree: Any) -> None:
    table = f"image_id,rad_ID,{FINDINGS}\naaa,R1,1,0,,0,0,0,0\naaa,R2,0,0,,0,0,0,0\n"
    root = tree({"annotations/image_labels_train.csv": table, "train/aaa.dicom": ""})
    reader = VindrCxr(str(root), ReaderOptions())
    (image,) = reader.images()
    assert (image.labels["Aortic Enlargement"], image.labels["Pleural Effusion"]) == (0.0, None)
    assert "image_labels_test.csv is not there: its films are left out" in reader.notes


def test_faults(tree: Any) -> None:
    root = tree({"annotations/image_labels_train.csv": TRAIN.replace("Aortic enlargement", "Bronchitis")})
    with pytest.raises(UserError, match=r"image_labels_train\.csv: lacks a column 'Aortic enlargement'"):
        VindrCxr(str(root), ReaderOptions())
    (root / "annotations/image_labels_train.csv").unlink()
    with pytest.raises(UserError, match=r"lacks annotations/image_labels_train\.csv"):
        VindrCxr(str(root), ReaderOptions())
