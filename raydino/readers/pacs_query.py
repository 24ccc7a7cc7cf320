"""What to ask a PACS for, from the part of an address behind the question mark.

Without any, all studies that hold CR, DX or DR; ``ModalitiesInStudy=*`` takes every object, so that
what isn't a film becomes a rejected row as it would from a folder. Source: PS3.4 C.2 and C.6.
Neighbours: ``dicomweb`` (PS3.18) and ``dimse``, which ask it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import parse_qsl

from pydicom.datadict import keyword_dict, tag_for_keyword

from raydino.errors import UserError

RADIOGRAPHS = ("CR", "DX", "DR")  # DR is no standard term, but some devices write it


@dataclass(frozen=True)
class PacsQuery:
    """``modalities`` is empty where any will do; ``filters`` are matching keys of the study level."""

    modalities: tuple[str, ...] = RADIOGRAPHS
    filters: tuple[tuple[str, str], ...] = ()

    def searches(self) -> list[list[tuple[str, str]]]:
        """One list of matching keys for each search; a study may be found by several of them."""
        own = list(self.filters)
        return [[("ModalitiesInStudy", name), *own] for name in self.modalities] or [own]

    def wants(self, modality: str) -> bool:
        """Whether to retrieve an object of this modality; of an unknown one (``""``) yes."""
        return not self.modalities or not modality or modality in self.modalities

    def described(self) -> str:
        """For an error: which studies were asked for, without the values of filters."""
        keys = "".join(f" and your {keyword}" for keyword, _ in self.filters)
        return f"studies of {', '.join(self.modalities) or 'any modality'}{keys}"


def parse_query(text: str, where: str, settings: Sequence[str] = ()) -> tuple[PacsQuery, dict[str, str]]:
    """The query, and the values of ``settings`` (names that are no DICOM keyword). Raises UserError."""
    given: dict[str, str] = {}
    filters = []
    modalities: tuple[str, ...] = RADIOGRAPHS
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in settings:
            given[name] = value
        elif name == "ModalitiesInStudy":
            modalities = () if value == "*" else tuple(re.split(r"[,\\]", value.upper()))
        elif tag_for_keyword(name) is not None:
            filters.append((name, value))
        else:
            near = get_close_matches(name, [*settings, *keyword_dict], n=1)
            raise UserError(
                f"no DICOM attribute is called {name!r}",
                where=where,
                remedy=f"did you mean {near[0]!r}?" if near else "write DICOM keywords, as StudyDate=20240101-20241231",
            )
    return PacsQuery(modalities, tuple(filters)), given


def is_uid(value: object) -> bool:
    """Whether a server's answer is a UID, and so may stand in a path."""
    return isinstance(value, str) and re.fullmatch(r"[0-9][0-9.]{0,63}", value) is not None
