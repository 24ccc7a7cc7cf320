from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, open_reader
from raydino.readers.brax import Brax, middle_of
from raydino.readers.vocabulary import CHEXPERT

FILM = "id_{0}/Study_1.2/Series_3.4/image-{0}"
HEADER = f",DicomPath,PngPath,PatientID,PatientSex,PatientAge,AccessionNumber,StudyDate,{','.join(CHEXPERT)},"
HEADER += "ViewPosition,Rows,Columns,Manufacturer\n"


def row(number: int, facts: str, view: str, **values: str) -> str:
    film = FILM.format(number)
    cells = ",".join(values.get(name.replace(" ", "_"), "") for name in CHEXPERT)
    paths = f"Anonymized_DICOMs/{film}.dcm,images/{film}.png"
    return f"{number},{paths},id_{number},{facts},A{number},20100101,{cells},{view},2000,2000,1\n"


TABLE = HEADER + row(1, "F,45-49", "PA", Edema="1", Lung_Opacity="-1") + row(2, "M,85 or more", "L", No_Finding="1")


@pytest.fixture
def brax(tree: Any) -> Path:
    films = {f"images/{FILM.format(1)}.png": "", f"images/{FILM.format(2)}.png": ""}
    return tree({"master_spreadsheet_update.csv": TABLE, **films})


def test_png_films(brax: Path) -> None:
    name, reader = open_reader(str(brax), options=ReaderOptions(uncertain="absent"))
    assert (name, type(reader), reader.labels, dict(reader.left_out)) == ("brax", Brax, CHEXPERT, {})
    first, second = reader.images()
    assert first.name == f"images/{FILM.format(1)}"
    assert (first.path, first.is_dicom) == (brax / f"images/{FILM.format(1)}.png", False)
    assert first.known == Known(
        patient_id="id_1",
        study_id="A1",
        view="PA",
        age_years=47,
        sex="F",
        population="Brazil",
        site="Hospital Israelita Albert Einstein",
    )
    assert (first.labels["Edema"], first.labels["Lung Opacity"], first.labels["No Finding"]) == (1.0, 0.0, 0.0)
    assert (second.known.age_years, second.labels["Edema"], second.labels["Support Devices"]) == (85, 0.0, None)
    assert reader.notes == ("40,967 films are published, 2 are here",)


@pytest.mark.parametrize("suffix", [".dcm", ""])
def test_dicom_films_go_first_with_or_without_suffix(brax: Path, tree: Any, suffix: str) -> None:
    names = [image.name for image in Brax(str(brax), ReaderOptions()).images()]
    dicom = f"Anonymized_DICOMs/{FILM.format(1)}{suffix}"
    tree({dicom: "", f"Anonymized_DICOMs/{FILM.format(9)}{suffix}": ""})
    reader = Brax(str(brax), ReaderOptions())
    first, second = reader.images()
    assert [first.name, second.name] == names
    assert (first.path, first.is_dicom) == (brax / dicom, True)
    assert second.path is not None
    assert not second.path.exists()
    assert reader.notes[1:] == ("1 listed films are missing", "1 image files are listed nowhere and left out")


@pytest.mark.parametrize(
    ("group", "age"), [("45-49", 47), ("45 - 49", 47), ("85 or more", 85), ("45", 45), ("", None), ("unknown", None)]
)
def test_groups_of_five_years(group: str, age: float | None) -> None:
    assert middle_of(group) == age


def test_a_missing_column(tree: Any) -> None:
    root = tree({"master_spreadsheet_update.csv": TABLE.replace("Pneumothorax", "PTX")})
    with pytest.raises(UserError, match=r"master_spreadsheet_update\.csv: lacks a column 'Pneumothorax'"):
        Brax(str(root), ReaderOptions())
