"""Listing a PACS by C-FIND, study root: studies, and the objects of one study (PS3.4 C.4.1, C.6.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from raydino.readers.dimse_address import Address, Instance
from raydino.readers.dimse_association import associated, identifier, matches
from raydino.readers.pacs_query import is_uid
from raydino.readers.patience import patiently

_FIND = StudyRootQueryRetrieveInformationModelFind


def find_studies(address: Address) -> list[str]:
    """The UIDs of the studies asked for, in order. Raises SourceGone or OSError, here and below."""
    return patiently(partial(_find_studies, address))


def find_instances(address: Address, study: str) -> list[Instance]:
    """Every object of a wanted modality, in order of the UIDs."""
    return patiently(partial(_find_instances, address, study))


def _find_studies(address: Address) -> list[str]:
    found = set()
    with associated(address.peer, _FIND, contexts=[build_context(_FIND)]) as pacs:
        for search in address.query.searches():
            items = _find(pacs, "STUDY", [("StudyInstanceUID", ""), *search])
            found |= {str(item.get("StudyInstanceUID")) for item in items}
    return sorted(filter(is_uid, found))


def _find_instances(address: Address, study: str) -> list[Instance]:
    keys = [("StudyInstanceUID", study), ("SeriesInstanceUID", ""), ("Modality", "")]
    found = set()
    with associated(address.peer, _FIND, contexts=[build_context(_FIND)]) as pacs:
        for item in list(_find(pacs, "SERIES", keys)):
            series = str(item.get("SeriesInstanceUID"))
            if is_uid(series) and address.query.wants(str(item.get("Modality") or "")):
                found |= _find_images(pacs, study, series)
    return sorted(found)


def _find_images(pacs: Association, study: str, series: str) -> set[Instance]:
    keys = [("StudyInstanceUID", study), ("SeriesInstanceUID", series), ("SOPInstanceUID", ""), ("SOPClassUID", "")]
    found = set()
    for item in _find(pacs, "IMAGE", keys):
        uid, sop_class = str(item.get("SOPInstanceUID")), str(item.get("SOPClassUID") or "")
        if is_uid(uid):
            found.add(Instance(study, series, uid, sop_class if is_uid(sop_class) else ""))
    return found


def _find(pacs: Association, level: str, keys: Sequence[tuple[str, str]]) -> Iterator[Dataset]:
    return matches(pacs.send_c_find(identifier(level, keys), _FIND))
