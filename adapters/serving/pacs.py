"""A PACS as the reading room sees it: results go in, and new films are found and fetched.

Two ways: DICOMweb (``https://host/dicom-web``; STOW-RS, QIDO-RS and WADO-RS of PS3.18) and DIMSE
(``dimse://AET@host:port?aet=OURS``; C-STORE, C-FIND and C-GET of PS3.4), addresses as ``raydino ingest`` takes them.
Neighbours: ``pacs_web`` and ``pacs_dimse``, the two ways; ``delivery`` and ``watch``, which use them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

from raydino.errors import UserError
from raydino.readers.base import require_extra
from raydino.readers.dimse_address import Instance


class Refusal(Exception):
    """The PACS will never take this, and says so. The text quotes no value of the object."""


class Pacs(Protocol):
    """Every method raises SourceGone where the PACS serves nobody now, and OSError where it fails on this alone."""

    @property
    def shown(self) -> str:
        """Its address, without a login or a query."""

    def store(self, files: Sequence[Path]) -> None:
        """Store DICOM files. Those that are there already count as stored. Raises Refusal too."""

    def studies(self, first_day: date) -> Mapping[str, int | None]:
        """Studies with radiographs since that day: UID → number of objects, None where the PACS does not say it."""

    def films(self, study: str) -> list[Instance]:
        """The radiographs of a study."""

    def fetch(self, film: Instance) -> bytes:
        """The film's DICOM file, in the transfer syntax in which it is stored."""


def open_pacs(address: str) -> Pacs:
    """The PACS of an address; nothing is asked of it yet. Raises UserError."""
    if address.startswith("dimse://"):
        require_extra("pacs", "pynetdicom")
        from adapters.serving.pacs_dimse import DimsePacs

        return DimsePacs.of(address)
    if address.removeprefix("dicomweb+").startswith(("http://", "https://")):
        require_extra("pacs", "requests")
        from adapters.serving.pacs_web import WebPacs

        return WebPacs.of(address)
    remedy = "https://host/dicom-web or dimse://AET@host:port?aet=OURS"
    raise UserError("is no address of a PACS", where=address.partition("?")[0], remedy=remedy)


def require_no_query(has_filters: bool, where: str) -> None:
    """Raises UserError: what is watched is said by days, not by the address."""
    if has_filters:
        raise UserError("no search belongs into the address of a PACS that is stored to", where=where)
