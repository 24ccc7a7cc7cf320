from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, open_reader
from raydino.readers.cohort import train_or_val
from raydino.readers.nih14 import Nih14

HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient {},View Position,"
SIZES = "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
ROWS = (
    "00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
    "00000001_001.png,Cardiomegaly|Effusion|Pleural_Thickening,1,1,58,M,PA,2894,2729,0.143,0.143,\n"
    "00000002_000.png,No Finding,0,2,411,F,AP,2500,2048,0.168,0.168,\n"
    "00000003_000.png,Mass|Infiltration,0,3,74,F,AP,2500,2048,0.168,0.168,\n"
)
FILMS = (
    "images_001/images/00000001_000.png",
    "images_001/images/00000001_001.png",
    "images_012/images/00000003_000.png",
)


@pytest.fixture(params=[("Data_Entry_2017.csv", "Gender"), ("Data_Entry_2017_v2020.csv", "Sex")])
def nih(tree: Any, request: Any) -> Path:
    file, word = request.param
    return tree(
        {
            file: HEADER.format(word) + SIZES + "\n" + ROWS,
            "train_val_list.txt": "00000001_000.png\n00000001_001.png\n00000002_000.png\n",
            "test_list.txt": "00000003_000.png\n",
            "BBox_List_2017.csv": "Image Index,Finding Label\n",
            **dict.fromkeys(FILMS, ""),
        }
    )


def test_films_with_split_labels_and_demographics(nih: Path) -> None:
    name, reader = open_reader(str(nih))
    assert (name, type(reader), reader.total()) == ("nih14", Nih14, 4)
    first, second, normal, tested = reader.images()
    assert (first.name, first.path) == ("00000001_000.png", nih / FILMS[0])
    assert first.known == Known(
        patient_id="1",
        study_id="1/0",
        view="PA",
        split=train_or_val("1"),
        age_years=58,
        sex="M",
        population="United States",
        site="NIH Clinical Center",
    )
    assert {label for label, value in second.labels.items() if value == 1.0} == {
        "Cardiomegaly",
        "Pleural Effusion",
        "Pleural Thickening",
    }
    assert set(second.labels.values()) == {0.0, 1.0}
    assert (normal.labels["No Finding"], normal.known.age_years, normal.known.sex) == (1.0, None, "F")
    assert (tested.known.split, tested.path) == ("test", nih / FILMS[2])
    assert (tested.labels["Mass"], tested.labels["Nodule or Mass"], tested.labels["Infiltration"]) == (1.0, 1.0, 1.0)
    assert reader.left_out == {}
    assert reader.notes == (
        "112,120 films are published, 4 are here",
        "30,805 patients are published, 3 are here",
        "86,524 train_val films are published, 3 are here",
        "25,596 test films are published, 1 are here",
        "1 listed films are missing",
    )


def test_films_in_one_folder_have_the_same_names(nih: Path) -> None:
    apart = [image.name for image in Nih14(str(nih), ReaderOptions()).images()]
    for film in FILMS:
        (nih / film).rename(nih / Path(film).name)
    images = list(Nih14(str(nih), ReaderOptions()).images())
    assert [image.name for image in images] == apart
    assert images[3].path == nih / "00000003_000.png"


def test_odd_labels_are_left_out_and_an_empty_cell_is_unknown(nih: Path) -> None:
    table = next(nih.glob("Data_Entry*"))
    table.write_text(table.read_text().replace("No Finding", "").replace("Mass|", "Mass|Oddity|"))
    reader = Nih14(str(nih), ReaderOptions())
    assert reader.left_out == {"Oddity": "no finding of the vocabulary"}
    assert set(list(reader.images())[2].labels.values()) == {None}


def test_without_the_official_lists_it_refuses(nih: Path) -> None:
    (nih / "test_list.txt").unlink()
    with pytest.raises(UserError, match=r"lacks test_list\.txt; without it films of the official test set"):
        Nih14(str(nih), ReaderOptions())


@pytest.mark.parametrize("column", ["Finding Labels", "Patient Age", "Patient (Gender|Sex)"])
def test_missing_columns(nih: Path, column: str) -> None:
    import re

    table = next(nih.glob("Data_Entry*"))
    table.write_text(re.sub(column, "else", table.read_text()))
    with pytest.raises(UserError, match=r"Data_Entry_2017.*csv: lacks a column"):
        Nih14(str(nih), ReaderOptions())
