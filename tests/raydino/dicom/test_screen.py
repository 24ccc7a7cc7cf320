from __future__ import annotations

from typing import Any

import pytest

from raydino.dicom.header import read_film_header
from raydino.dicom.screen import REASONS, Rejected, require_chest_radiograph

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value")  # pydicom, on the values that are meant to be odd


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
        ({"BodyPartExamined": "HAND"}, "not_chest"),
        ({"BodyPartExamined": ""}, "not_chest"),
        ({"BodyPartExamined": "", "ProtocolName": "W033 Chest PA"}, None),
        ({"BodyPartExamined": "", "SeriesDescription": "PORTCHEST_AP"}, None),
        ({"BodyPartExamined": "", "StudyDescription": "Thorax p.a."}, None),
        ({"BodyPartExamined": "TSPINE", "StudyDescription": "Thoracic spine"}, "not_chest"),
        ({"Rows": None}, "no_pixels"),
        ({"NumberOfFrames": 3}, None),  # what becomes of frames and colours, ``pixels`` decides
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, None),
    ],
)
def test_screening(make_dataset: Any, ramp: Any, attributes: dict[str, Any], reason: str | None) -> None:
    header = read_film_header(make_dataset(ramp(), **attributes))
    if reason is None:
        require_chest_radiograph(header)
        return
    with pytest.raises(Rejected) as caught:
        require_chest_radiograph(header)
    assert caught.value.reason == reason
    assert reason in REASONS
