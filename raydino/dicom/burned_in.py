"""Text that is burned into a film's pixels, found by OCR (the ``ocr`` extra: rapidocr and onnxruntime).

A film is searched as it would be stored: what has become too small to be read there cannot leave.
Markers that name nobody (L, PORTABLE, ERECT) stay. What the text says goes nowhere, only where it is.
Deterministic: one thread, weights that come with the package. Neighbours: ``screen`` (the policy),
``film`` (applies it).
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from raydino.dicom.examination import fold
from raydino.dicom.screen import READING, BurnedIn, Rejected
from raydino.errors import UserError

SURE = 0.5  # of 0..1; what is read with less is mostly ribs and wires
MARGIN_PX, MARGIN_SHARE = 3, 0.25  # around a region: pixels, and a part of its height
_HARMLESS_WORDS = (
    "L R LT RT LEFT RIGHT LI RE LINKS RECHTS D G DX SX DER IZQ DROITE GAUCHE "
    "PA AP P A LAT LATERAL LL RL VIEW CHEST THORAX PORTABLE PORT MOBILE BEDSIDE BED STEHEND LIEGEND "
    "ERECT UPRIGHT SUPINE SEMI SITTING STANDING SEMIERECT SEMIUPRIGHT RECUMBENT PRONE DECUB DECUBITUS "
    "INSP EXP INSPIRATION EXPIRATION GRID NO NON WITH ITU ICU CCU NICU PICU ER UP DOWN ARROW CM MM KV KVP MAS"
)
HARMLESS = frozenset(_HARMLESS_WORDS.split())
_RUN_TOGETHER = re.compile(rf"(?:AP|PA)?(?:{'|'.join(word for word in sorted(HARMLESS) if len(word) > 3)})+")  # APERECT

Film = npt.NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels of a film: rows top … bottom - 1, columns left … right - 1."""

    top: int
    bottom: int
    left: int
    right: int


def require_ocr() -> None:
    """Raise UserError where the extra is not installed."""
    if not all(importlib.util.find_spec(name) for name in ("rapidocr", "onnxruntime")):
        raise UserError(
            "burned-in text cannot be read here: no OCR is installed", remedy="pip install 'raydino[ocr]' onnxruntime"
        )


def without_text(film: Film, stated: bool | None, policy: BurnedIn) -> tuple[Film, str | None]:
    """The film as ``policy`` leaves it, and one line on what was done to it.

    ``stated`` is what its header says of burned-in text. Raises Rejected.
    """
    if policy not in READING:
        return film, "the header says that text is burned in; kept" if stated else None
    regions = text_regions(film)
    found = f"{len(regions)} region{'' if len(regions) == 1 else 's'}"
    if regions and policy == "quarantine":
        raise Rejected("burned_in", f"text in {found}")
    if stated and not regions:
        raise Rejected("burned_in", "the header says that text is burned in, and OCR finds none to black out")
    return (blacked_out(film, regions), f"burned-in text blacked out in {found}") if regions else (film, None)


def text_regions(film: Film) -> list[Region]:
    """Where a film holds text that could identify, from top to bottom."""
    eight_bits = film if film.dtype == np.uint8 else (film >> 8).astype(np.uint8)
    found = _reader()(cv2.cvtColor(np.asarray(eight_bits), cv2.COLOR_GRAY2BGR), text_score=SURE)
    if found.boxes is None or found.txts is None:
        return []
    regions = [
        _around(np.asarray(box), film.shape)
        for box, text in zip(found.boxes, found.txts, strict=True)
        if not is_harmless(text)
    ]
    return sorted(regions, key=lambda region: (region.top, region.left))


def is_harmless(text: str) -> bool:
    """Whether a text names nobody: single characters, and words of HARMLESS."""
    words = fold(text).split()
    return all(len(word) < 2 or word in HARMLESS or _RUN_TOGETHER.fullmatch(word) for word in words)


def blacked_out(film: Film, regions: list[Region]) -> Film:
    """A copy of ``film`` with black regions."""
    covered = film.copy()
    for region in regions:
        covered[region.top : region.bottom, region.left : region.right] = 0
    return covered


def _around(corners: npt.NDArray[np.float32], shape: tuple[int, ...]) -> Region:
    """The upright rectangle about a quadrilateral of [x, y] corners, with a margin, inside the film."""
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    margin = MARGIN_PX + MARGIN_SHARE * min(bottom - top, right - left)
    return Region(
        top=max(int(np.floor(top - margin)), 0),
        bottom=min(int(np.ceil(bottom + margin)) + 1, shape[0]),
        left=max(int(np.floor(left - margin)), 0),
        right=min(int(np.ceil(right + margin)) + 1, shape[1]),
    )


@cache
def _reader() -> Any:
    """Once a process. One thread: the workers share the cores, and threads could change the last digit."""
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Global.log_level": "critical",
        }
    )
