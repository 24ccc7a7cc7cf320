"""Which images of an archive are chest radiographs; every rejection is a code with one line of detail.

``detail`` goes into the dataset, so it never quotes a header's free text, a file name or a number
that could identify. A header is believed: where it lies (a radiograph filed as CT) the film is
rejected for what it says, and the user, who knows the archive, may set that reason aside (``keep``).
Sources: PS3.3 C.7.6.1.1.2 (Image Type), C.8.11.1.1.1 (Presentation Intent Type). Neighbours:
``examination`` (words), ``burned_in`` (text in the pixels), ``pixels`` and ``decode`` (their faults).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from raydino.dicom.examination import CHEST_CODES, names_chest, names_other_part
from raydino.dicom.header import FilmHeader
from raydino.errors import UserError

REASONS = {
    "not_dicom": "the file is not DICOM",
    "not_image": "the file is not an image that can be read",
    "unreadable": "the file is DICOM or an image, but broken",
    "known_corrupt": "the publishers list this file as broken, so it is not opened",
    "modality": "not a projection radiograph (CR, DX)",
    "not_human": "a film of an animal",
    "not_chest": "not a film of the chest",
    "derived": "a processed copy: bone-suppressed, stitched, marked by CAD, a secondary image",
    "for_processing": "raw detector values, not meant for viewing",
    "no_pixels": "the object holds no image",
    "unsupported_pixels": "colour, or no decoder installed",
    "too_small": "a thumbnail: fewer pixels than a film has",
    "blank": "the film is of one shade",
    "burned_in": "text in the pixels could name the patient",
    "duplicate": "the same film, or the same SOP Instance UID, stands here already",
}
KEEPABLE = ("modality", "not_human", "not_chest", "derived", "for_processing")  # judgements on headers
RADIOGRAPHS = ("CR", "DX", "DR")  # DR is no standard term, but some devices write it
SMALLEST_SHARE = 4  # a film's shorter side is at least this part of the recipe's: a stored film is never enlarged

BurnedIn = Literal["reject", "keep", "black-out", "quarantine"]
"""What becomes of burned-in text. ``reject``: a film whose header says that it has some. ``keep``: nothing.
With OCR: ``black-out``: text becomes black, the film stays; ``quarantine``: a film with text is rejected."""

READING = ("black-out", "quarantine")  # the policies that search each film for text (the ocr extra)
_PROCESSED = re.compile(
    r"\b(?:(?:BONE|RIB)S? ?SUPP\w*|SUPPRESSED|SOFT ?TISSUE|CLEAR ?READ|SOFT ?VIEW|(?:ENERGY|TEMPORAL|BONE) ?SUBTRACT\w*"
    r"|BONE (?:ONLY|IMAGE)|CAD|STITCH\w*|COMPOSED|COMPOSITE|ENHANC\w*|SCREEN ?(?:SHOT|SAVE|CAPTURE)|ANNOTATED|MOSAIC"
    r"|COLLAGE|THUMB ?NAIL|ICON|LOCALI[SZ]ER)\b"
)


@dataclass(frozen=True)
class Screening:
    """What a user may choose. ``keep`` holds reasons of KEEPABLE that reject nothing.

    ``smallest_side`` is in pixels of the source; None is 1 / SMALLEST_SHARE of the recipe's shorter side.
    """

    keep: frozenset[str] = frozenset()
    burned_in: BurnedIn = "reject"
    smallest_side: int | None = None

    @classmethod
    def of(cls, keep: Iterable[str], burned_in: str, smallest_side: int | None) -> Screening:
        """From a user's words. Raises UserError."""
        if unknown := sorted(set(keep) - set(KEEPABLE)):
            raise UserError(f"--keep {unknown[0]} is not possible", remedy=f"one of {', '.join(KEEPABLE)}")
        if burned_in not in get_args(BurnedIn):
            raise UserError(
                f"--burned-in {burned_in} is not possible", remedy=f"one of {', '.join(get_args(BurnedIn))}"
            )
        return cls(frozenset(keep), burned_in, smallest_side)  # type: ignore[arg-type]

    def resolved(self) -> dict[str, Any]:
        """In plain JSON types, for the dataset's header."""
        return {"keep": sorted(self.keep), "burned_in": self.burned_in, "smallest_side": self.smallest_side}


class Rejected(Exception):
    """An image that doesn't enter the dataset: ``reason`` is a key of REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(reason, detail)


def require_chest_radiograph(header: FilmHeader, screening: Screening = Screening()) -> None:
    """Raise Rejected unless the header is that of a chest radiograph."""
    grounds = {
        "modality": _other_modality(header),
        "not_human": None if header.is_human else "the header names an animal",
        "not_chest": _other_part(header),
        "derived": _derived(header),
        "for_processing": "presentation intent FOR PROCESSING" if header.intent == "FOR PROCESSING" else None,
    }
    for reason, detail in grounds.items():
        if detail and reason not in screening.keep:
            raise Rejected(reason, detail)
    if header.burned_in and screening.burned_in in ("reject", "quarantine"):
        raise Rejected("burned_in", "the header says that text is burned in")
    if not header.has_pixels:
        raise Rejected("no_pixels", f"modality {header.modality or 'absent'} without rows and columns")


def require_size(rows: int, cols: int, smallest_side: int) -> None:
    """Raise Rejected for a thumbnail."""
    if min(rows, cols) < smallest_side:
        raise Rejected("too_small", f"{rows} × {cols} pixels; the shorter side must be at least {smallest_side}")


def _other_modality(header: FilmHeader) -> str | None:
    return None if header.modality in RADIOGRAPHS else f"modality {header.modality or 'absent'}"


def _other_part(header: FilmHeader) -> str | None:
    """None for a chest film. What is said of the film itself goes before what is said of its study."""
    coded = not CHEST_CODES.isdisjoint(header.codes)
    for said, where in ((header.film_text, "protocol or series"), (header.body_part, "body part")):
        chest, other = names_chest(said), names_other_part(said)
        if chest and not other:
            return None
        if other and not chest:
            return f"the {where} is another part of the body"
    if coded or names_chest(header.body_part):
        return None
    if names_chest(header.study_text) and not names_other_part(header.study_text):
        return None
    named = "no body part that is known" if header.body_part else "no body part"
    return f"the header names {named}, and no description names the chest alone"


def _derived(header: FilmHeader) -> str | None:
    """DERIVED\\PRIMARY is what many DX devices write on every film; DERIVED\\SECONDARY was made later.

    Secondary captures are exempt: it says how a file was wrapped (a conversion), not what it shows.
    """
    if {"DERIVED", "SECONDARY"} <= header.image_type and not header.is_secondary_capture:
        return "image type DERIVED, SECONDARY"
    words = " ".join([*sorted(header.image_type), header.film_text, header.derivation])
    return "its image type, series or derivation names a processed copy" if _PROCESSED.search(words) else None
