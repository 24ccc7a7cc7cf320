from __future__ import annotations

import pytest

from raydino.dicom.makers import maker_of
from raydino.phantom.sites import SITES


@pytest.mark.parametrize(
    ("text", "maker"),
    [
        ("SIEMENS", "SIEMENS"),
        ("Siemens Healthineers AG", "SIEMENS"),
        ("Philips Medical Systems", "PHILIPS"),
        ("GE Healthcare", "GE"),
        ('"GE MEDICAL SYSTEMS"', "GE"),
        ("FUJI PHOTO FILM CO. LTD.", "FUJIFILM"),
        ("FUJIFILM Corporation", "FUJIFILM"),
        ("Agfa-Gevaert", "AGFA"),
        ("KONICA MINOLTA", "KONICA MINOLTA"),
        ("Carestream Health", "CARESTREAM"),
        ("Eastman Kodak Company", "KODAK"),
        ("Zebulon Quixotewitz", "OTHER"),
        ("GERMAN RADIOLOGY", "OTHER"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_makers(text: str, maker: str) -> None:
    assert maker_of(text) == maker


def test_the_makers_of_the_embedded_archive_are_known() -> None:
    assert [maker_of(site.manufacturer) for site in SITES] == ["SYNTHETIC IMAGING", "EXAMPLE RADIOGRAPHY"]
