from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, open_reader
from raydino.readers.padchest import PadChest, terms_of

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
BROKEN = "216840111366964012558082906712009327122220177_00-102-064.png"
HEADER = ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,MethodLabel,"
HEADER += "Report,Labels\n"
ROWS = (
    "0,a_1.png,0,20140915,S1,P1,1930.0,F,PA,Physician,torax normal,\"['normal']\"\n"
    "1,a_2.png,0,20140915,S1,P1,1930.0,F,L,Physician,torax normal,\"['normal']\"\n"
    "2,b_1.png,54,20100101,S2,P2,2010,M,AP_horizontal,RNN_model,,"
    "\"['pneumonia', ' multiple nodules', 'rib fracture', 'NSG tube', 'sternotomy']\"\n"
    "3,c_1.png,54,20100101,S3,P3,,None,COSTAL,RNN_model,sin cambi,\"['unchanged', 'cardiomegaly']\"\n"
    "4,d_1.png,54,20100101,S4,P4,1800,O,EXCLUDE,RNN_model,,\n"
    f"5,{BROKEN},54,20090101,S5,P5,1950,M,PA,Physician,x,\"['normal']\"\n"
)


@pytest.fixture
def padchest(tree: Any) -> Path:
    films = ("images/0/a_1.png", "images/0/a_2.png", "images/54/b_1.png", "images/54/c_1.png", f"images/54/{BROKEN}")
    return tree({TABLE: HEADER + ROWS, **dict.fromkeys(films, "")})


def test_films_with_labels_report_and_demographics(padchest: Path) -> None:
    name, reader = open_reader(str(padchest))
    assert (name, type(reader)) == ("padchest", PadChest)
    images = {image.name: image for image in reader.images()}
    first = images["a_1.png"]
    assert (first.path, first.is_dicom, first.report) == (padchest / "images/0/a_1.png", False, "torax normal")
    assert first.known == Known(
        patient_id="P1",
        study_id="S1",
        view="PA",
        age_years=84,
        sex="F",
        population="Spain",
        site="Hospital San Juan de Alicante",
    )
    assert first.labels["No Finding"] == 1.0
    assert first.labels["Pneumonia"] == 0.0
    assert images["a_2.png"].known.view == "LATERAL"
    ill = images["b_1.png"]
    present = {label for label, value in ill.labels.items() if value == 1.0}
    assert present == {"Pneumonia", "Nodule", "Nodule or Mass", "Rib Fracture", "Fracture", "Support Devices"}
    assert (ill.known.view, ill.known.age_years, ill.report) == ("AP", 0, None)


def test_what_a_list_does_not_name_is_unknown_where_it_is_incomplete(padchest: Path) -> None:
    images = {image.name: image for image in PadChest(str(padchest), ReaderOptions()).images()}
    unchanged = images["c_1.png"]
    assert (unchanged.labels["Cardiomegaly"], unchanged.labels["Pneumonia"]) == (1.0, None)
    assert (unchanged.known.view, unchanged.known.sex, unchanged.known.age_years) == (None, None, None)
    unread = images["d_1.png"]
    assert set(unread.labels.values()) == {None}
    assert (unread.known.sex, unread.known.age_years, unread.known.view) == ("O", None, None)


def test_broken_files_are_known_and_terms_are_accounted_for(padchest: Path) -> None:
    reader = PadChest(str(padchest), ReaderOptions())
    broken = [image.name for image in reader.images() if image.known_corrupt]
    assert broken == [BROKEN]
    assert len(PadChest.corrupt) == 26
    assert all(name.endswith(".png") and len(name) > 50 for name in PadChest.corrupt)
    assert reader.left_out == {
        "sternotomy": "no finding of the vocabulary (1 films)",
        "unchanged": "no finding of the vocabulary (1 films)",
    }
    assert reader.notes == (
        "2 films are of ribs or marked to be excluded; their view is unknown",
        "160,868 films are published, 6 are here",
        "1 listed films are missing",
    )


def test_terms() -> None:
    assert terms_of("['normal', ' loc basal ', \"it's\", '']") == ["normal", "loc basal", "it's"]
    assert terms_of("") == []
    assert terms_of("nan") == []


def test_a_missing_column(tree: Any) -> None:
    root = tree({TABLE: HEADER.replace("Projection", "else") + ROWS})
    with pytest.raises(UserError, match=r"csv\.gz: lacks a column 'Projection'"):
        PadChest(str(root), ReaderOptions())
