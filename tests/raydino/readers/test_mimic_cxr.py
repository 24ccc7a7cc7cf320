from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, SourceImage, open_reader
from raydino.readers.mimic_cxr import MimicCxr, MimicCxrJpg
from raydino.readers.vocabulary import CHEXPERT

FILMS = (  # patient, study, file, split, view, coded view, date
    ("10000032", "50414267", "02aa804e", "train", "PA", "postero-anterior", "21800506"),
    ("10000032", "50414267", "174413ec", "train", "LATERAL", "lateral", "21800506"),
    ("10000764", "57375967", "096052b7", "validate", "", "antero-posterior", "21321015"),
    ("11000011", "51029426", "5e07a0bf", "test", "PA LLD", "", "21500101"),
    ("11000012", "51029427", "5e07a0c0", "", "AP", "", ""),
)
LABELS = "subject_id,study_id,Atelectasis,Cardiomegaly,Edema,Lung Opacity,No Finding,Pleural Effusion,Support Devices\n"
METADATA = "dicom_id,subject_id,study_id,ViewPosition,Rows,StudyDate,ViewCodeSequence_CodeMeaning\n" + "".join(
    f"{file},{patient},{study},{view},2500,{date},{coded}\n" for patient, study, file, _, view, coded, date in FILMS
)
SPLIT = "dicom_id,study_id,subject_id,split\n" + "".join(
    f"{file},{study},{patient},{split}\n" for patient, study, file, split, *_ in FILMS if split
)
TABLES = {
    "mimic-cxr-2.0.0-metadata.csv.gz": METADATA,
    "mimic-cxr-2.0.0-split.csv.gz": SPLIT,
    "mimic-cxr-2.0.0-chexpert.csv.gz": LABELS
    + "10000032,50414267,,1.0,0.0,-1.0,,,\n10000764,57375967,,,,,1.0,,1.0\n11000011,51029426,1.0,,,,,,\n",
}
PATIENTS = "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n10000032,F,52,2180,2014 - 2016,\n"
PATIENTS += "10000764,M,91,2131,2014 - 2016,\n11000011,M,88,2147,2014 - 2016,\n999,F,1,2100,x,\n"
ADMISSIONS = "subject_id,hadm_id,admittime,insurance,race\n"
ADMISSIONS += "10000032,1,2180-05-06 22:23:00,Medicaid,WHITE\n10000032,2,2180-07-01 00:00:00,Medicare,UNKNOWN\n"
ADMISSIONS += "10000032,3,2179-01-01 00:00:00,Other,WHITE\n10000764,4,2140-01-01 00:00:00,Private,UNABLE TO OBTAIN\n"


def film(number: int, suffix: str) -> str:
    patient, study, file, *_ = FILMS[number]
    return f"files/p{patient[:2]}/p{patient}/s{study}/{file}{suffix}"


@pytest.fixture
def jpg(tree: Any) -> Path:
    films = dict.fromkeys((film(number, ".jpg") for number in range(4)), "")
    return tree({**TABLES, **films, "files/p10/p10000032/s50414267/more.jpg": ""}, "mimic-cxr-jpg/2.1.0")


def by_file(source: Path, uncertain: Any = "unknown") -> dict[str, SourceImage]:
    _, reader = open_reader(str(source), options=ReaderOptions(uncertain=uncertain))
    return {Path(image.name).stem: image for image in reader.images()}


def test_jpg_with_all_that_lies_beside_it(jpg: Path, tree: Any) -> None:
    tree({"hosp/patients.csv.gz": PATIENTS, "hosp/admissions.csv.gz": ADMISSIONS}, "mimiciv/2.2")
    report = "FINAL REPORT\n INDICATION: pain\n FINDINGS: Clear.\n\n IMPRESSION: Normal\n chest.\n"
    tree({"files/p10/p10000032/s50414267.txt": report}, "mimic-cxr/2.0.0")
    name, reader = open_reader(str(jpg))
    assert (name, type(reader), reader.total()) == ("mimic-cxr-jpg", MimicCxrJpg, 5)
    images = {Path(image.name).stem: image for image in reader.images()}
    first = images["02aa804e"]
    assert first.name == film(0, ".jpg")
    assert first.path == jpg / film(0, ".jpg")
    assert not first.is_dicom
    assert first.report == images["174413ec"].report == "Clear.\n\nNormal chest."
    assert first.known == Known(
        patient_id="10000032",
        study_id="50414267",
        view="PA",
        split="train",
        age_years=52,
        sex="F",
        population="United States",
        site="Beth Israel Deaconess Medical Center",
        race="WHITE",
        insurance="Medicaid",
    )
    older = images["096052b7"]
    assert (older.known.split, older.known.view) == ("val", "antero-posterior")
    assert (older.known.age_years, older.known.race, older.known.insurance) == (90, None, "Private")
    assert older.report is None
    third = images["5e07a0bf"].known
    assert (third.split, third.view, third.age_years, third.insurance) == ("test", None, 90, None)
    unknown = images["5e07a0c0"].known
    assert (unknown.split, unknown.age_years, unknown.sex) == (None, None, None)


def test_counts_against_the_published_ones(jpg: Path) -> None:
    assert open_reader(str(jpg))[1].notes == (
        "1 films have no official split",
        "MIMIC-IV's patients table is not beside it: age, sex and race are unknown",
        "377,110 films are published, 5 are here",
        "368,960 train films are published, 2 are here",
        "2,991 validate films are published, 1 are here",
        "5,159 test films are published, 1 are here",
        "1 listed films are missing",
        "1 image files are listed nowhere and left out",
    )


def test_labels_uncertain_and_not_mentioned(jpg: Path) -> None:
    images = by_file(jpg)
    assert images["02aa804e"].labels == {
        "No Finding": 0.0,  # Cardiomegaly is present
        "Cardiomegaly": 1.0,
        "Lung Opacity": None,  # uncertain
        "Edema": 0.0,
        "Atelectasis": None,
        "Pleural Effusion": None,
        "Support Devices": None,
    }
    normal = images["096052b7"].labels
    assert (normal["No Finding"], normal["Edema"], normal["Support Devices"]) == (1.0, 0.0, 1.0)
    assert set(images["5e07a0c0"].labels.values()) == {None}
    assert by_file(jpg, "present")["02aa804e"].labels["Lung Opacity"] == 1.0
    assert by_file(jpg, "absent")["02aa804e"].labels["Lung Opacity"] == 0.0
    assert list(images["02aa804e"].labels) == [name for name in CHEXPERT if name in images["02aa804e"].labels]


def test_a_radiologists_labels_replace_those_of_test(jpg: Path, tree: Any) -> None:
    by_hand = "study_id,No Finding,Cardiomegaly,Airspace Opacity,Grade\n51029426,0.0,1.0,-1.0,x\n"
    tree({"mimic-cxr-2.1.0-test-set-labeled.csv": by_hand}, "mimic-cxr-jpg/2.1.0")
    reader = MimicCxrJpg(str(jpg), ReaderOptions(uncertain="present"))
    labels = {Path(image.name).stem: image.labels for image in reader.images()}["5e07a0bf"]
    assert (labels["Cardiomegaly"], labels["Lung Opacity"], labels["Atelectasis"]) == (1.0, 1.0, None)
    assert "1 test studies have the labels of a radiologist" in reader.notes
    assert reader.left_out == {"Grade": "no finding of the vocabulary"}


def test_dicom_with_the_tables_of_jpg_beside_it(tree: Any) -> None:
    records = "subject_id,study_id,dicom_id,path\n" + "".join(
        f"{FILMS[n][0]},{FILMS[n][1]},{FILMS[n][2]},{film(n, '.dcm')}\n" for n in range(4)
    )
    root = tree({"cxr-record-list.csv.gz": records, film(0, ".dcm"): ""}, "mimic-cxr/2.1.0")
    with pytest.raises(UserError, match=r"lacks mimic-cxr-2\*-split.csv\*; it comes with MIMIC-CXR-JPG: copy it here"):
        open_reader(str(root))
    tree(TABLES, "mimic-cxr-jpg/2.1.0")
    with zipfile.ZipFile(root / "mimic-cxr-reports.zip", "w") as archive:
        archive.writestr("files/p10/p10000764/s57375967.txt", "IMPRESSION: No change.")
    name, reader = open_reader(str(root))
    assert (name, type(reader), reader.total()) == ("mimic-cxr", MimicCxr, 4)
    images = {Path(image.name).stem: image for image in reader.images()}
    assert images["02aa804e"].is_dicom
    assert images["02aa804e"].path == root / film(0, ".dcm")
    assert images["02aa804e"].known.view == "PA"
    assert images["096052b7"].report == "No change."
    assert images["096052b7"].known.split == "val"
    assert "3 listed films are missing" in reader.notes


def test_broken_zips_of_reports(jpg: Path) -> None:
    (jpg / "mimic-cxr-reports.zip").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"mimic-cxr-reports\.zip: is not a zip file that can be read"):
        by_file(jpg)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("mimic-cxr-2.0.0-metadata.csv.gz", "dicom_id,subject_id\n", "lacks a column 'study_id'"),
        ("mimic-cxr-2.0.0-split.csv.gz", "dicom_id\n", "lacks a column 'split'"),
        ("mimic-cxr-2.0.0-chexpert.csv.gz", LABELS + "1,2,,7,,,,,\n", "column 'Cardiomegaly' holds a cell"),
    ],
)
def test_faulty_tables(jpg: Path, tree: Any, file: str, text: str, message: str) -> None:
    tree({file: text}, "mimic-cxr-jpg/2.1.0")
    with pytest.raises(UserError) as caught:
        open_reader(str(jpg))
    assert message in str(caught.value)
    assert file in str(caught.value)
