"""Which images of an archive are chest radiographs; every rejection is a code with one line of detail.

``detail`` goes into the dataset, so it never quotes a header's free text, a file name or a number
that could identify. Decisions about pixels are in ``pixels`` and ``decode``.
"""

from __future__ import annotations

import re

from raydino.dicom.header import FilmHeader

REASONS = {
    "not_dicom": "the file is not DICOM",
    "not_image": "the file is not an image that can be read",
    "unreadable": "the file is DICOM or an image, but broken",
    "known_corrupt": "the publishers list this file as broken, so it is not opened",
    "modality": "not a projection radiograph (CR, DX)",
    "not_chest": "not a film of the chest",
    "no_pixels": "the object holds no image",
    "unsupported_pixels": "colour, or no decoder installed",
    "blank": "the film is of one shade",
    "duplicate": "the same film, or the same SOP Instance UID, stands here already",
}
RADIOGRAPHS = ("CR", "DX", "DR")  # DR is no standard term, but some devices write it
_CHEST_PARTS = re.compile(r"(P|PORT)?CHEST|THORAX|TORAX|LUNGS?")
_CHEST_WORDS = re.compile(r"\b((P|PORT)?CHEST|THORAX|TORAX|CXR|LUNGS?)\b")


class Rejected(Exception):
    """An image that doesn't enter the dataset: ``reason`` is a key of REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(reason, detail)


def require_chest_radiograph(header: FilmHeader) -> None:
    """Raise Rejected unless the header is that of a chest radiograph."""
    if header.modality not in RADIOGRAPHS:
        raise Rejected("modality", f"modality {header.modality or 'absent'}")
    if not _CHEST_PARTS.fullmatch(header.body_part) and not _CHEST_WORDS.search(header.description):
        named = "another body part" if header.body_part else "no body part"
        raise Rejected("not_chest", f"the header names {named}, and no description names the chest")
    if not header.has_pixels:
        raise Rejected("no_pixels", f"modality {header.modality} without rows and columns")
