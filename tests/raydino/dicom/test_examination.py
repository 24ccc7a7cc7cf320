from __future__ import annotations

import pytest

from raydino.dicom.examination import first_view, fold, names_chest, names_other_part, view_of


@pytest.mark.parametrize(
    ("given", "folded"),
    [
        ("Tórax, P.A.", "TORAX P A"),
        ("Rö-Thorax", "RO THORAX"),
        ("Fuß_links", "FUSS LINKS"),
        ("Płuca", "PLUCA"),
        ("ngực", "NGUC"),
        ("Akciğer grafisi", "AKCIGER GRAFISI"),
        ("흉부", "흉부"),
        ("  ", ""),
    ],
)
def test_fold(given: str, folded: str) -> None:
    assert fold(given) == folded


@pytest.mark.parametrize(
    "text",
    [
        *("CHEST", "PORTCHEST", "XR Chest 2 views", "CXR", "C X R", "Lungs", "chest_pa"),
        *("Thorax p.a.", "Röntgenthorax Thoraxaufnahme", "Lunge", "Brustorgane", "X-thorax", "longen"),
        *("Tórax PA", "Radiografía de pulmones", "poumon", "Radio pulmonaire", "torace", "polmoni", "pulmões"),
        *("Lungor", "bröstkorg", "keuhkokuva", "klatka piersiowa", "plíce", "hrudníku", "pluća", "mellkas"),
        *("Akciğer", "göğüs", "ngực", "phổi", "paru", "胸部正面", "胸片", "흉부", "Органы грудной клетки", "Θώρακος"),
    ],
)
def test_the_chest_in_many_languages(text: str) -> None:
    assert names_chest(fold(text))
    assert not names_other_part(fold(text))


@pytest.mark.parametrize(
    "text",
    [
        "Thoracic spine",
        "BWS",
        "Columna torácica",
        "RIBCAGE",
        "Rippen",
        "ABDOMEN",
        "Schädel",
        "Knie links",
        "épaule",
        "TSPINE",
    ],
)
def test_other_parts(text: str) -> None:
    assert not names_chest(fold(text))
    assert names_other_part(fold(text))


def test_words_inside_words_name_nothing() -> None:
    for text in ("ORCHESTRA", "PLUNGE", "HANDLE", "ARCHESTRATUS", "QUIXOTEWITZ", ""):
        assert not names_chest(fold(text))
        assert not names_other_part(fold(text))


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("postero-anterior", "PA"),
        ("Thorax p.a. stehend", "PA"),
        ("antéro-postérieure", "AP"),
        ("Tórax perfil", "LATERAL"),
        ("de profil", "LATERAL"),
        ("latero-laterale", "LATERAL"),
        ("seitlich", "LATERAL"),
        ("boczne", "LATERAL"),
        ("흉부 측면", "LATERAL"),
        ("胸部側面", "LATERAL"),
        ("399348003", "AP"),
        ("R-10214", "PA"),
        ("AP decúbito supino", "AP"),
        ("AP LEFT LATERAL DECUBITUS", "UNKNOWN"),
        ("PA AND LAT", "UNKNOWN"),
        ("PATERNAL", "UNKNOWN"),
    ],
)
def test_views(text: str, view: str) -> None:
    assert view_of(text) == view


def test_the_first_that_tells() -> None:
    assert first_view(["", "CHEST", "LAT", "PA"]) == "LATERAL"
    assert first_view([]) == "UNKNOWN"
