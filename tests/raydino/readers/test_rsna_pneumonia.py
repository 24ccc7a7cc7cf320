from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, open_reader
from raydino.readers.cohort import train_or_val
from raydino.readers.rsna_pneumonia import RsnaPneumonia

BOXES = "patientId,x,y,width,height,Target\na1,,,,,0\nb2,264.0,152.0,213.0,379.0,1\nb2,562.0,152.0,256.0,453.0,1\n"
BOXES += "c3,,,,,0\n"
CLASSES = "patientId,class\na1,Normal\nb2,Lung Opacity\nb2,Lung Opacity\nc3,No Lung Opacity / Not Normal\n"
MAPPING = [{"subset_img_id": film, "img_id": f"0000{film[1]}_00{film[1]}.png"} for film in ("a1", "b2")]
MAPPING += [{"subset_img_id": film, "img_id": f"00009_00{film[1]}.png"} for film in ("c3", "d4")]


@pytest.fixture
def rsna(tree: Any) -> Path:
    films = {f"stage_2_train_images/{film}.dcm": "" for film in ("a1", "b2", "c3")}
    return tree({"stage_2_train_labels.csv": BOXES, **films, "stage_2_test_images/d4.dcm": ""})


def test_boxes_classes_and_test_films_without_labels(rsna: Path, tree: Any) -> None:
    tree({"stage_2_detailed_class_info.csv": CLASSES})
    name, reader = open_reader(str(rsna))
    assert (name, type(reader), reader.total()) == ("rsna-pneumonia", RsnaPneumonia, 4)
    tested, normal, ill, other = reader.images()
    assert [image.name for image in (tested, normal, ill, other)] == ["test/d4", "train/a1", "train/b2", "train/c3"]
    assert (ill.path, ill.is_dicom) == (rsna / "stage_2_train_images/b2.dcm", True)
    assert normal.labels == {"No Finding": 1.0, "Lung Opacity": 0.0, "Pneumonia": 0.0}
    assert ill.labels == {"No Finding": 0.0, "Lung Opacity": 1.0, "Pneumonia": 1.0}
    assert other.labels == {"No Finding": 0.0, "Lung Opacity": 0.0, "Pneumonia": 0.0}
    assert set(tested.labels.values()) == {None}
    assert tested.known == Known(split="test", site="NIH Clinical Center", population="United States")
    assert normal.known.split == train_or_val("train/a1")
    assert "26,684 train films are published, 3 are here" in reader.notes
    assert "all films are also in ChestX-ray14: don't test there what has seen them" in reader.notes


def test_without_classes_no_finding_is_unknown(rsna: Path) -> None:
    _, normal, ill, _ = RsnaPneumonia(str(rsna), ReaderOptions()).images()
    assert normal.labels == {"No Finding": None, "Lung Opacity": 0.0, "Pneumonia": 0.0}
    assert ill.labels["No Finding"] == 0.0


def test_the_mapping_gives_patients_and_keeps_them_whole(rsna: Path, tree: Any) -> None:
    tree({"pneumonia-challenge-dataset-mappings_2018.json": json.dumps(MAPPING)})
    reader = RsnaPneumonia(str(rsna), ReaderOptions())
    tested, normal, _, moved = reader.images()
    assert normal.known.patient_id == "00001"
    assert tested.known.patient_id == moved.known.patient_id == "00009"
    assert (tested.known.split, moved.known.split) == ("test", "test")
    assert "1 train films are of patients in test and count as test" in reader.notes


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("stage_2_train_labels.csv", "patientId\na\n", "lacks a column 'Target'"),
        ("stage_2_train_labels.csv", "patientId,Target\na,2\n", "column 'Target' holds a cell"),
        ("stage_2_detailed_class_info.csv", "patientId,class\na1,Odd\n", "1 classes are not known"),
        ("pneumonia-challenge-dataset-mappings_2018.json", "[1]", "is not a list of objects with subset_img_id"),
    ],
)
def test_faults(rsna: Path, tree: Any, file: str, text: str, message: str) -> None:
    tree({file: text})
    with pytest.raises(UserError) as caught:
        RsnaPneumonia(str(rsna), ReaderOptions())
    assert message in str(caught.value)
    assert file in str(caught.value)
