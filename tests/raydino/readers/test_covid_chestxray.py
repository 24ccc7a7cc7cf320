from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, open_reader
from raydino.readers.covid_chestxray import CovidChestXray, country_of

HEADER = "patientid,offset,sex,age,finding,RT_PCR_positive,view,modality,date,location,folder,filename,clinical_notes\n"
ROWS = (
    '2,0,M,65,Pneumonia/Viral/COVID-19,Y,PA,X-ray,2020,"Cho Ray Hospital, Ho Chi Minh City, Vietnam",images,a.jpeg,x\n'
    "2,3,M,65,Pneumonia/Viral/COVID-19,Y,L,X-ray,2020,Italy,images,b.png,\n"
    '3,,F,,Pneumonia/Bacterial/Streptococcus,,AP Supine,X-ray,2017,"Seattle, USA",images,c.jpg,\n'
    "4,0,,0,No Finding,,PA,X-ray,2017,,images,d.jpg,\n"
    "5,0,,30,todo,,PA,X-ray,2017,,images,e.jpg,\n"
    "6,0,F,30,Pneumonia/Viral/COVID-19,,Axial,CT,2020,Italy,images,f.jpg,\n"
)


@pytest.fixture
def covid(tree: Any) -> Path:
    films = dict.fromkeys((f"images/{name}" for name in ("a.jpeg", "b.png", "c.jpg", "d.jpg", "f.jpg", "z.jpg")), "")
    return tree({"metadata.csv": HEADER + ROWS, **films})


def test_films_with_diagnoses_and_countries(covid: Path) -> None:
    name, reader = open_reader(str(covid))
    assert (name, type(reader), reader.total()) == ("covid-chestxray", CovidChestXray, 5)
    first, lateral, bacterial, normal, unread = reader.images()
    assert (first.name, first.path, first.is_dicom) == ("a.jpeg", covid / "images/a.jpeg", False)
    assert first.known == Known(patient_id="2", study_id="2:0", view="PA", age_years=65, sex="M", population="Vietnam")
    assert first.report is None
    assert first.labels == {"No Finding": 0.0, "Pneumonia": 1.0, "COVID-19": 1.0}
    assert (lateral.known.view, lateral.known.population) == ("LATERAL", "Italy")
    assert bacterial.labels == {"No Finding": 0.0, "Pneumonia": 1.0, "COVID-19": 0.0}
    assert (bacterial.known.view, bacterial.known.population) == ("AP Supine", "United States")
    assert normal.labels == {"No Finding": 1.0, "Pneumonia": 0.0, "COVID-19": 0.0}
    assert (normal.known.age_years, normal.known.population) == (None, None)
    assert set(unread.labels.values()) == {None}
    assert set(reader.left_out) == {"Viral", "Bacterial", "Streptococcus"}
    assert reader.notes == (
        "1 rows are of CT or another modality and left out",
        "1 listed films are missing",
        "1 image files are listed nowhere and left out",
    )


@pytest.mark.parametrize(
    ("location", "country"), [("Wuhan, Hubei, China", "China"), ("UK", "United Kingdom"), ("", None), ("Rome, ", None)]
)
def test_countries(location: str, country: str | None) -> None:
    assert country_of(location) == country


def test_another_metadata_file_is_not_taken_for_it(tree: Any) -> None:
    root = tree({"metadata.csv": "a,b\n", "images/x.png": ""})
    assert not CovidChestXray.recognises(str(root))
    with pytest.raises(UserError, match=r"metadata\.csv: lacks a column 'patientid'"):
        CovidChestXray(str(root), ReaderOptions())
