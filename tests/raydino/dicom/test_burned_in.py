from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from raydino.dicom import burned_in
from raydino.dicom.burned_in import Region, blacked_out, is_harmless, require_ocr, text_regions, without_text
from raydino.dicom.screen import Rejected
from raydino.errors import UserError

Film = npt.NDArray[np.uint8]


@pytest.fixture
def blank() -> Film:
    """A grey ramp without any text, [400, 360]."""
    return (np.add.outer(np.arange(400), np.arange(360)) // 8 + 40).astype(np.uint8)


@pytest.fixture
def lettered(blank: Film) -> Film:
    cv2.putText(blank, "QUIXOTE ZEBULON", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255,), 2)
    cv2.putText(blank, "PORTABLE", (20, 360), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255,), 2)
    return blank


@pytest.mark.parametrize(
    "text",
    ["L", "R", "portable", "AP PORTABLE", "Semi-erect", "①", "↑", "", "SUPINE L", "7", "APERECT", "ITU PORTABLE"],
)
def test_markers_are_harmless(text: str) -> None:
    assert is_harmless(text)


@pytest.mark.parametrize("text", ["SMITH", "29.02.1956", "L JS", "PORTABLE 1742", "ID 4711", "DALI", "LEFTON"])
def test_names_and_numbers_are_not(text: str) -> None:
    assert not is_harmless(text)


def test_regions_become_black_and_the_rest_stays() -> None:
    film = np.full((10, 12), 9, np.uint16)
    covered = blacked_out(film, [Region(1, 3, 2, 5), Region(8, 10, 0, 12)])
    assert film.min() == 9
    assert not covered[1:3, 2:5].any()
    assert not covered[8:].any()
    assert covered.sum() == 9 * (120 - 6 - 24)


@pytest.mark.parametrize(
    ("policy", "stated", "n_regions", "outcome"),
    [
        ("reject", None, 2, None),
        ("keep", True, 2, "the header says that text is burned in; kept"),
        ("keep", None, 2, None),
        ("black-out", None, 0, None),
        ("black-out", None, 1, "burned-in text blacked out in 1 region"),
        ("black-out", True, 2, "burned-in text blacked out in 2 regions"),
        ("black-out", True, 0, Rejected),
        ("quarantine", None, 0, None),
        ("quarantine", None, 1, Rejected),
    ],
)
def test_policies(
    monkeypatch: pytest.MonkeyPatch, policy: Any, stated: bool | None, n_regions: int, outcome: Any
) -> None:
    film = np.full((8, 8), 7, np.uint8)
    monkeypatch.setattr(burned_in, "text_regions", lambda _: [Region(i, i + 1, 0, 8) for i in range(n_regions)])
    if outcome is Rejected:
        with pytest.raises(Rejected) as caught:
            without_text(film, stated, policy)
        assert caught.value.reason == "burned_in"
        return
    left, told = without_text(film, stated, policy)
    assert told == outcome
    assert (left == 0).sum() == (8 * n_regions if policy == "black-out" else 0)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match="no OCR is installed") as caught:
        require_ocr()
    assert "raydino[ocr]" in str(caught.value)


def test_names_are_found_and_markers_are_not(lettered: Film) -> None:
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    pytest.importorskip("onnxruntime", reason="the extra ocr is not installed")
    regions = text_regions(lettered)
    assert len(regions) == 1
    assert regions[0].top < 45 < 60 < regions[0].bottom
    assert regions[0].left < 20
    assert text_regions(lettered) == regions
    assert text_regions(lettered.astype(np.uint16) * 257) == regions
    assert text_regions(blacked_out(lettered, regions)) == []


def test_a_film_without_text_has_none(blank: Film) -> None:
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    pytest.importorskip("onnxruntime", reason="the extra ocr is not installed")
    assert text_regions(blank) == []
