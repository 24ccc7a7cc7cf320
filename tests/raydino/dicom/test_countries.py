from __future__ import annotations

import pytest

from raydino.dicom import countries
from raydino.dicom.countries import country_of
from raydino.phantom.sites import SITES


@pytest.mark.parametrize(
    ("text", "country"),
    [
        *(("USA", "United States"), ("us", "United States"), ("U.S.A.", "United States")),
        *(("Germany", "Germany"), ("Deutschland", "Germany"), ("DEU", "Germany"), ("Republic of Korea", "South Korea")),
        *(("Côte d'Ivoire", "Côte d'Ivoire"), ("COTE D IVOIRE", "Côte d'Ivoire"), ("Türkiye", "Turkey")),
        *(("Zebulon", None), ("", None), ("12 Nowhere Lane", None), ("United", None)),
    ],
)
def test_countries(text: str, country: str | None) -> None:
    assert country_of(text) == country


def test_the_list_is_whole() -> None:
    entries = [entry.split(maxsplit=2) for entry in countries._ISO_3166.replace("\n", " ").split(";") if entry.strip()]
    assert len(entries) == 249  # ISO 3166-1
    assert len({alpha_2 for alpha_2, _, _ in entries}) == len({alpha_3 for _, alpha_3, _ in entries}) == 249
    assert all(len(alpha_2) == 2 and len(alpha_3) == 3 and name for alpha_2, alpha_3, name in entries)
    assert all(country_of(site.country) == site.country for site in SITES)
