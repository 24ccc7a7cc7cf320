"""Listing a PACS by C-FIND, study root: studies, and the objects of one study (PS3.4 C.4.1, C.6.2)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from raydino.readers.dimse_address import Address, Instance, Peer
from raydino.readers.dimse_association import associated, identifier, matches
from raydino.readers.pacs_query import is_uid
from raydino.readers.patience import patiently

_FIND = StudyRootQueryRetrieveInformationModelFind


def find_studies(address: Address) -> list[str]:
    """The UIDs of the studies asked for, in order. Raises SourceGone or OSError, here and below."""
    found = set()
    for search in address.query.searches():
        keys = [("StudyInstanceUID", ""), *search]
        found |= {str(item.get("StudyInstanceUID")) for item in _find(address.peer, "STUDY", keys)}
    return sorted(filter(is_uid, found))


def find_instances(address: Address, study: str) -> list[Instance]:
    """Every object of a wanted modality, in order of the UIDs."""
    keys = [("StudyInstanceUID", study), ("SeriesInstanceUID", ""), ("Modality", "")]
    found = set()
    for item in _find(address.peer, "SERIES", keys):
        series = str(item.get("SeriesInstanceUID"))
        if is_uid(series) and address.query.wants(str(item.get("Modality") or "")):
            found |= _find_images(address.peer, study, series)
    return sorted(found)


def _find_images(peer: Peer, study: str, series: str) -> set[Instance]:
    keys = [("StudyInstanceUID", study), ("SeriesInstanceUID", series), ("SOPInstanceUID", ""), ("SOPClassUID", "")]
    found = set()
    for item in _find(peer, "IMAGE", keys):
        uid, sop_class = str(item.get("SOPInstanceUID")), str(item.get("SOPClassUID") or "")
        if is_uid(uid):
            found.add(Instance(study, series, uid, sop_class if is_uid(sop_class) else ""))
    return found


def _find(peer: Peer, level: str, keys: Sequence[tuple[str, str]]) -> list[Dataset]:
    def attempt() -> list[Dataset]:
        with associated(peer, _FIND, contexts=[build_context(_FIND)]) as association:
            return list(matches(association.send_c_find(identifier(level, keys), _FIND)))

    return patiently(attempt)
