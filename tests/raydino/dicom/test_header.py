from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from raydino.dicom.header import read_film_header, sex_of, view_of

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value")  # pydicom, on the values that are meant to be odd


@pytest.mark.parametrize(
    ("age", "born", "studied", "years"),
    [
        ("045Y", "", "", 45),
        ("006M", "", "", 0.5),
        ("003W", "", "", 0.06),
        ("010D", "", "", 0.03),
        ("81", "", "", 81),
        ("", "19700615", "20200614", 49),
        ("", "19700615", "20200615", 50),
        ("", "20190615", "20200615", 1.0),
        ("", "20210101", "20200615", None),
        ("", "1970", "20200615", None),
        ("411Y", "", "", None),
        ("abc", "19700615", "20200615", 50),
        ("", "", "", None),
    ],
)
def test_age(make_dataset: Any, ramp: Any, age: str, born: str, studied: str, years: float | None) -> None:
    dataset = make_dataset(ramp())
    for keyword, vr, value in (
        ("PatientAge", "AS", age),
        ("PatientBirthDate", "DA", born),
        ("StudyDate", "DA", studied),
    ):
        dataset.add_new(keyword, vr, value)
    assert read_film_header(dataset).age_years == years


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("PA", "PA"),
        ("AP", "AP"),
        ("LL", "LATERAL"),
        ("RL", "LATERAL"),
        ("lateral", "LATERAL"),
        ("postero-anterior", "PA"),
        ("antero-posterior", "AP"),
        ("W033 Chest PA", "PA"),
        ("view: AP", "AP"),
        ("THORAX_LAT", "LATERAL"),
        ("CHEST PA AND LAT", "UNKNOWN"),
        ("LLD", "UNKNOWN"),
        ("AP LEFT LATERAL DECUBITUS", "UNKNOWN"),
        ("PATIENT UPRIGHT", "UNKNOWN"),
        ("APEX", "UNKNOWN"),
        ("", "UNKNOWN"),
    ],
)
def test_view_of_a_text(text: str, view: str) -> None:
    assert view_of(text) == view


def test_view_position_goes_before_code_before_description_before_orientation(make_dataset: Any, ramp: Any) -> None:
    dataset = make_dataset(ramp(), ViewPosition="AP", SeriesDescription="Chest LAT", PatientOrientation=["A", "F"])
    code = Dataset()
    code.CodeMeaning = "postero-anterior"
    dataset.ViewCodeSequence = Sequence([code])
    assert read_film_header(dataset).view == "AP"
    dataset.ViewPosition = ""
    assert read_film_header(dataset).view == "PA"
    del dataset.ViewCodeSequence
    assert read_film_header(dataset).view == "LATERAL"
    del dataset.SeriesDescription
    assert read_film_header(dataset).view == "LATERAL"
    dataset.PatientOrientation = ["L", "F"]
    assert read_film_header(dataset).view == "UNKNOWN"


def test_spacing_and_aspect(make_dataset: Any, ramp: Any) -> None:
    dataset = make_dataset(ramp(), ImagerPixelSpacing=["0.2", "0.1"], EstimatedRadiographicMagnificationFactor="1.25")
    header = read_film_header(dataset)
    assert header.spacing_mm == pytest.approx((0.16, 0.08))
    assert header.pixel_aspect == pytest.approx(2.0)
    dataset.PixelSpacing = ["0.3", "0.3"]
    assert read_film_header(dataset).spacing_mm == (0.3, 0.3)
    plain = make_dataset(ramp(), PixelAspectRatio=["2", "1"])
    assert read_film_header(plain).pixel_aspect == 2.0
    assert read_film_header(plain).spacing_mm is None


def test_only_known_terms_are_kept_of_free_text(make_dataset: Any, ramp: Any) -> None:
    dataset = make_dataset(ramp(), Modality="DOEJOHN", PhotometricInterpretation="DOE")
    dataset.file_meta.TransferSyntaxUID = "1.2.3.999"
    header = read_film_header(dataset)
    assert (header.modality, header.photometric, header.transfer_syntax) == ("OTHER", "OTHER", "unknown")


def test_an_empty_dataset_raises_nothing() -> None:
    header = read_film_header(Dataset())
    assert not header.has_pixels
    assert (header.patient_id, header.sex, header.view, header.age_years) == ("", "UNKNOWN", "UNKNOWN", None)


@pytest.mark.parametrize(("given", "sex"), [("M", "M"), ("f ", "F"), ("O", "O"), ("female", "F"), ("X", "UNKNOWN")])
def test_sex(given: str, sex: str) -> None:
    assert sex_of(given) == sex
