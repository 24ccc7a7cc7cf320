from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, open_reader
from raydino.readers.chexpert import CheXpert
from raydino.readers.vocabulary import CHEXPERT

HEADER = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{','.join(CHEXPERT)}\n"
TEST_HEADER = f"Path,{','.join(CHEXPERT)}\n"


def row(path: str, facts: str, **values: str) -> str:
    cells = [values.get(name.replace(" ", "_"), "") for name in CHEXPERT]
    return ",".join(filter(None, (path, facts))) + "," + ",".join(cells) + "\n"


def tables(top: str) -> dict[str, str]:
    train = row(f"{top}/train/patient00001/study1/view1_frontal.jpg", "Female,68,Frontal,AP", Edema="-1.0", Mass="")
    train += row(f"{top}/train/patient00002/study2/view1_frontal.jpg", "Unknown,0,Frontal,PA", No_Finding="1.0")
    train += row(f"{top}/train/patient00002/study2/view2_lateral.jpg", "Male,90,Lateral,", Pneumonia="1.0")
    valid = row(f"{top}/valid/patient64541/study1/view1_frontal.jpg", "Male,73,Frontal,AP", Edema="0.0", No_Finding="0")
    return {"train.csv": HEADER + train, "valid.csv": HEADER + valid}


FILMS = (
    "train/patient00001/study1/view1_frontal.jpg",
    "train/patient00002/study2/view1_frontal.jpg",
    "train/patient00002/study2/view2_lateral.jpg",
    "valid/patient64541/study1/view1_frontal.jpg",
)
DEMOGRAPHICS = "PATIENT,GENDER,AGE_AT_CXR,PRIMARY_RACE,ETHNICITY\n"
DEMOGRAPHICS += "patient00001,Female,68,Black or African American,Non-Hispanic/Non-Latino\n"
DEMOGRAPHICS += "patient00002,Male,90,Unknown,Hispanic/Latino\npatient64741,Female,55,Asian,Unknown\n"


@pytest.fixture(params=["CheXpert-v1.0", "CheXpert-v1.0-small"])
def chexpert(tree: Any, request: Any) -> Path:
    return tree({**tables(request.param), **dict.fromkeys(FILMS, "")}, request.param)


def test_both_sizes_have_one_layout(chexpert: Path, tree: Any) -> None:
    tree({"CHEXPERT DEMO.csv": DEMOGRAPHICS}, chexpert.name)
    name, reader = open_reader(str(chexpert))
    assert (name, type(reader), reader.labels) == ("chexpert", CheXpert, CHEXPERT)
    first, second, third, valid = reader.images()
    assert (first.name, first.path, first.is_dicom) == (FILMS[0], chexpert / FILMS[0], False)
    assert first.known == Known(
        patient_id="patient00001",
        study_id="train/patient00001/study1",
        view="AP",
        split="train",
        age_years=68,
        sex="Female",
        population="United States",
        site="Stanford Hospital",
        race="Black or African American",
    )
    assert first.labels["Edema"] is None
    assert (second.known.age_years, second.known.sex, second.known.race) == (None, "Unknown", "Hispanic/Latino")
    assert (second.labels["No Finding"], second.labels["Edema"], second.labels["Support Devices"]) == (1.0, 0.0, None)
    assert (third.known.view, third.known.age_years) == ("LATERAL", 90)
    assert (third.labels["Pneumonia"], third.labels["No Finding"]) == (1.0, 0.0)
    assert (valid.known.split, valid.known.patient_id, valid.known.race) == ("val", "patient64541", None)
    assert (valid.labels["Edema"], valid.labels["No Finding"]) == (0.0, 0.0)
    assert reader.notes == (
        "223,414 train films are published, 3 are here",
        "234 valid films are published, 1 are here",
        "668 test films are published, 0 are here",
    )


def test_the_test_set_has_labels_and_its_facts_from_the_demographics(chexpert: Path, tree: Any) -> None:
    film = "test/patient64741/study1/view1_frontal.jpg"
    labels = TEST_HEADER + row(film, "", Edema="1.0", No_Finding="0.0")
    tree({"test_labels.csv": labels, film: "", "CHEXPERT DEMO.csv": DEMOGRAPHICS}, chexpert.name)
    image = next(i for i in CheXpert(str(chexpert), ReaderOptions()).images() if i.name == film)
    assert image.known.split == "test"
    assert (image.known.sex, image.known.age_years, image.known.race, image.known.view) == ("Female", 55, "Asian", None)
    assert (image.labels["Edema"], image.labels["Pneumonia"]) == (1.0, None)


def test_four_batches_give_the_same_names(tree: Any, chexpert: Path) -> None:
    first = "CheXpert-v1.0 batch 1 (validate & csv)"
    films = {f"CheXpert-v1.0 batch 2 (train 1)/{FILMS[0].removeprefix('train/')}": "", f"{first}/{FILMS[3]}": ""}
    films |= {f"CheXpert-v1.0 batch 4 (train 3)/{film.removeprefix('train/')}": "" for film in FILMS[1:2]}
    written = {f"{first}/{name}": text for name, text in tables("CheXpert-v1.0").items()}
    root = tree({**written, **films}, "chexpertchestxrays-u20210408")
    assert CheXpert.recognises(str(root))
    batches = list(CheXpert(str(root), ReaderOptions()).images())
    assert [image.name for image in batches] == [i.name for i in CheXpert(str(chexpert), ReaderOptions()).images()]
    assert [image.path.is_file() for image in batches if image.path] == [True, True, False, True]


@pytest.mark.parametrize(("policy", "value"), [("unknown", None), ("present", 1.0), ("absent", 0.0)])
def test_uncertain(chexpert: Path, policy: Any, value: float | None) -> None:
    first = next(CheXpert(str(chexpert), ReaderOptions(uncertain=policy)).images())
    assert first.labels["Edema"] == value


def test_a_workbook_needs_openpyxl(chexpert: Path, tree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tree({"CHEXPERT DEMO.xlsx": "no workbook"}, chexpert.name)
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("openpyxl"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"CHEXPERT DEMO\.xlsx: (reading it needs openpyxl|is not a workbook)"):
        CheXpert(str(chexpert), ReaderOptions())


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("train.csv", "Path,Sex\n", "lacks a column 'Age'"),
        ("train.csv", HEADER + row("somewhere.jpg", "Male,1,Frontal,AP"), "column 'Path' holds something else"),
        ("valid.csv", HEADER + row(FILMS[0], "Male,1,Frontal,AP", Edema="2"), "column 'Edema' holds a cell"),
        ("CHEXPERT DEMO.csv", "PATIENT\n", "lacks a column 'PRIMARY_RACE'"),
    ],
)
def test_faulty_tables(chexpert: Path, tree: Any, file: str, text: str, message: str) -> None:
    tree({file: text}, chexpert.name)
    with pytest.raises(UserError) as caught:
        CheXpert(str(chexpert), ReaderOptions())
    assert message in str(caught.value)
    assert file in str(caught.value)
