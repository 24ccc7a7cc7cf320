"""A PACS by DIMSE (PS3.4): C-STORE stores, C-FIND lists, C-GET gives."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.association import Association

from adapters.serving.pacs import Refusal, require_no_query
from raydino.readers.base import SourceGone
from raydino.readers.dimse_address import Address, Instance, parse_address
from raydino.readers.dimse_association import NotOffered, associated, quote_no_answers
from raydino.readers.dimse_find import find_instances, find_studies
from raydino.readers.dimse_retrieve import CGet
from raydino.readers.pacs_query import PacsQuery
from raydino.readers.patience import Transient

_STORED = (0x0000, 0x0111, 0xB000, 0xB006, 0xB007)  # PS3.4 B.2.3: success, there already, and warnings
_BUSY = range(0xA700, 0xA800)
_FAILED, _NOT_AUTHORISED = 0x0110, 0x0124


@dataclass(frozen=True)
class DimsePacs:
    """Implements ``Pacs``; each call makes an association of its own."""

    address: Address

    @classmethod
    def of(cls, address: str) -> DimsePacs:
        """Raises UserError."""
        quote_no_answers()
        parsed = parse_address(address)
        require_no_query(bool(parsed.query.filters), parsed.shown)
        return cls(parsed)

    @property
    def shown(self) -> str:
        return self.address.shown

    def store(self, files: Sequence[Path]) -> None:
        datasets = [pydicom.dcmread(file) for file in files]
        classes = sorted({str(dataset.SOPClassUID) for dataset in datasets})
        contexts = [build_context(name, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]) for name in classes]
        try:
            for name in classes:
                with associated(self.address.peer, name, contexts=contexts) as association:
                    for dataset in datasets:
                        if dataset.SOPClassUID == name:
                            _store(association, dataset)
        except NotOffered as error:
            raise Refusal(str(error.strerror)) from None
        except Transient as error:
            raise error.lasting from None

    def studies(self, first_day: date) -> Mapping[str, int | None]:
        query = PacsQuery(filters=(("StudyDate", f"{first_day:%Y%m%d}-"),))
        return dict.fromkeys(find_studies(replace(self.address, query=query)))

    def films(self, study: str) -> list[Instance]:
        return find_instances(self.address, study)

    def fetch(self, film: Instance) -> bytes:
        return CGet(self.address.peer, film)().read()


def _store(association: Association, dataset: FileDataset) -> None:
    """Raises SourceGone, OSError or Refusal."""
    status = association.send_c_store(dataset).get("Status")
    if status is None:
        raise SourceGone("the PACS breaks off, or does not answer")
    if status in _STORED:
        return
    if status in _BUSY:
        raise SourceGone(f"the PACS is out of resources ({status:04X})")
    if status == _FAILED:
        raise OSError(errno.EIO, f"the PACS fails ({status:04X})")
    if status == _NOT_AUTHORISED:
        raise SourceGone(f"the PACS does not let us store ({status:04X})")
    raise Refusal(f"the PACS refuses the results (status {status:04X})")
