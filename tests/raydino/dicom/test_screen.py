from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import raydino
from raydino.dicom.film import Reading, Work, read_film
from raydino.dicom.header import read_film_header
from raydino.dicom.pixels import PixelRecipe
from raydino.dicom.screen import KEEPABLE, REASONS, Rejected, Screening, require_chest_radiograph, require_size
from raydino.errors import UserError
from raydino.readers.base import SourceImage

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # on the values that are meant to be odd
REAL = Path(raydino.__file__).parents[2] / "shared" / "data" / "dicom"
RAW = "1.2.840.10008.5.1.4.1.1.1.1.1"  # digital X-ray, for processing
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def code(value: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = value, ""
    return Sequence([item])


def reason_of(make_dataset: Any, ramp: Any, screening: Screening, **attributes: Any) -> str | None:
    header = read_film_header(make_dataset(ramp(), **attributes))
    try:
        require_chest_radiograph(header, screening)
    except Rejected as rejected:
        return rejected.reason if rejected.reason in REASONS and rejected.detail else "a reason without words"
    return None


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({}, None),
        ({"Modality": "DX"}, None),
        ({"Modality": "DR"}, None),
        ({"Modality": "CT"}, "modality"),
        ({"Modality": ""}, "modality"),
        ({"BodyPartExamined": "thorax"}, None),
        ({"BodyPartExamined": "PORTCHEST"}, None),
        ({"BodyPartExamined": "LUNGE"}, None),
        ({"BodyPartExamined": "HAND"}, "not_chest"),
        ({"BodyPartExamined": ""}, "not_chest"),
        ({"BodyPartExamined": "", "ProtocolName": "W033 Chest PA"}, None),
        ({"BodyPartExamined": "", "SeriesDescription": "PORTCHEST_AP"}, None),
        ({"BodyPartExamined": "", "StudyDescription": "Thorax p.a."}, None),
        ({"BodyPartExamined": "", "StudyDescription": "Radiografía de tórax"}, None),
        ({"BodyPartExamined": "", "AcquisitionDeviceProcessingDescription": "[CHEST,GENERAL]"}, None),
        ({"BodyPartExamined": "", "AnatomicRegionSequence": code("51185008")}, None),
        ({"BodyPartExamined": "", "ProcedureCodeSequence": code("71046")}, None),
        ({"BodyPartExamined": "TSPINE", "StudyDescription": "Thoracic spine"}, "not_chest"),
        ({"BodyPartExamined": "ABDOMEN", "StudyDescription": "Chest"}, "not_chest"),
        ({"BodyPartExamined": "", "StudyDescription": "Chest and abdomen"}, "not_chest"),
        ({"BodyPartExamined": "CHEST", "ProtocolName": "KNEE AP"}, "not_chest"),
        ({"BodyPartExamined": "RIBCAGE", "SeriesDescription": "Chest PA"}, None),
        ({"BodyPartExamined": "CHEST", "SeriesDescription": "Chest / ribs"}, None),
        ({"PatientSpeciesDescription": "Canis lupus"}, "not_human"),
        ({"PatientSpeciesDescription": "Homo sapiens"}, None),
        ({"ProtocolName": "FELINE CHEST"}, "not_human"),
        ({"Rows": None}, "no_pixels"),
        ({"NumberOfFrames": 3}, None),  # what becomes of frames and colours, ``pixels`` decides
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, None),
    ],
)
def test_what_is_a_film_of_the_chest(
    make_dataset: Any, ramp: Any, attributes: dict[str, Any], reason: str | None
) -> None:
    assert reason_of(make_dataset, ramp, Screening(), **attributes) == reason


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY"]}, None),
        ({"ImageType": ["DERIVED", "PRIMARY", "POST_PROCESSED", "RT"]}, None),
        ({"ImageType": "ORIGINAL PRIMARY"}, None),
        ({"ImageType": ["ORIGINAL", "SECONDARY"]}, None),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, "derived"),
        ({"ImageType": ["DERIVED", "SECONDARY"], "SOPClassUID": CAPTURE}, None),
        ({"ImageType": ["DERIVED", "PRIMARY", "", "BONE SUPPRESSED"]}, "derived"),
        ({"ImageType": ["DERIVED", "PRIMARY", "STITCHED"]}, "derived"),
        ({"SeriesDescription": "Chest PA - enhanced"}, "derived"),
        ({"SeriesDescription": "Chest PA CAD"}, "derived"),
        ({"SeriesDescription": "Chest soft-tissue"}, "derived"),
        ({"DerivationDescription": "Rib suppression"}, "derived"),
        ({"DerivationDescription": "Lossy compression"}, None),
        ({"SeriesDescription": "Chest cadaver lab"}, None),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
        ({"SOPClassUID": RAW}, "for_processing"),
        ({"SOPClassUID": RAW, "PresentationIntentType": "FOR PRESENTATION"}, None),
        ({"SOPClassUID": RAW, "ImageType": ["DERIVED", "PRIMARY"]}, None),
    ],
)
def test_copies_and_raw_values(make_dataset: Any, ramp: Any, attributes: dict[str, Any], reason: str | None) -> None:
    assert reason_of(make_dataset, ramp, Screening(), **attributes) == reason
    if reason:
        assert reason_of(make_dataset, ramp, Screening(keep=frozenset({reason})), **attributes) is None


@pytest.mark.parametrize(
    ("policy", "tag", "reason"),
    [
        ("reject", "YES", "burned_in"),
        ("quarantine", "YES", "burned_in"),
        ("keep", "YES", None),
        ("black-out", "YES", None),
        ("reject", "NO", None),
        ("reject", None, None),
    ],
)
def test_the_tag_of_burned_in_text(
    make_dataset: Any, ramp: Any, policy: Any, tag: str | None, reason: str | None
) -> None:
    attributes = {"BurnedInAnnotation": tag} if tag else {}
    assert reason_of(make_dataset, ramp, Screening(burned_in=policy), **attributes) == reason


def test_thumbnails() -> None:
    require_size(128, 500, 128)
    with pytest.raises(Rejected, match="127 × 500 pixels") as caught:
        require_size(127, 500, 128)
    assert caught.value.reason == "too_small"
    assert Work(PixelRecipe(512)).smallest_side == 128
    assert Work(PixelRecipe(512), screening=Screening(smallest_side=10)).smallest_side == 10


def test_a_users_words() -> None:
    screening = Screening.of(["modality", "derived"], "black-out", None)
    assert screening.resolved() == {"keep": ["derived", "modality"], "burned_in": "black-out", "smallest_side": None}
    with pytest.raises(UserError, match="--keep blank is not possible"):
        Screening.of(["blank"], "keep", None)
    with pytest.raises(UserError, match="--burned-in never is not possible"):
        Screening.of([], "never", None)
    assert REASONS.keys() > set(KEEPABLE)


@pytest.mark.skipif(not REAL.is_dir(), reason="the films of shared/data are not here")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nih_dx_1", None),
        ("nih_dx_4", "not_chest"),  # a chest film whose header says RIBCAGE
        ("nih_dx_5", "modality"),  # a chest film whose header says CT
        ("dx_mono1_child", "not_human"),  # a dog of a name that says child
        ("fuji_cr_mono1_10bit", None),
        ("rg1_j2k_lossless", None),  # DERIVED, PRIMARY
        ("rsna_cr_jpeg", None),
    ],
)
def test_real_headers(name: str, reason: str | None) -> None:
    """A lie is believed, and the user who knows better sets the reason aside."""

    def read(screening: Screening) -> Reading:
        image = SourceImage(name, path=REAL / f"{name}.dcm")
        return read_film(Work(PixelRecipe(64), screening=screening), image)

    assert read(Screening()).reason == reason
    assert read(Screening(keep=frozenset(KEEPABLE))).film is not None
