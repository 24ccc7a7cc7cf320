"""Everything in a header that names a person, a place, a number or a date: what a report is scrubbed of.

Standard and private attributes alike, and those of nested sequences. The strings stay in memory.
Source: the kinds of attributes that PS3.15 Table E.1-1 lists. Neighbour: ``scrub``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

DEEPEST = 8  # levels of sequences; real headers have three
_TEXTS = frozenset(("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT", "CS"))
_DATES = frozenset(("DA", "DT"))
# Keywords of attributes that identify. The second list is of names that no person or place has.
_IDENTIFYING = re.compile(
    r"Name|Address|Tele|Institution|Station|PatientID|OtherPatient|Accession|StudyID|Serial|Location|Residence"
    r"|Birth|Mother|Military|Occupation|Identif|Contact|Physician|Operator|Person|Organization|Account|Insurance"
    r"|Issuer|Placer|Filler|Order|Admission|AdmittingD|RequestingService|Region(OfRes)|AETitle|Comments|UID$|TrialS"
    r"|PlateID|CassetteID|DetectorID|ProcedureStepID|RequestedProcedureID|Responsible"
)
_NAMING_THINGS = re.compile(
    r"ProtocolName|ModelName|VersionName|CodeMeaning|StructureSet|SOPClassUID|TransferSyntaxUID|ClassUID|AnatomicRegion"
    r"|SequenceName|FilterName|ContextUID|ContextGroup|MappingResource|CodingScheme|OrderReason|FrameType|PrintOrder"
)


def identifiers_of(dataset: Dataset) -> tuple[str, ...]:
    """The identifying values of a header, each once, in the order of the header. Never raises."""
    return tuple(dict.fromkeys(value for value in _values(dataset, 0) if value))


def _values(dataset: Dataset, depth: int) -> Iterator[str]:
    for tag in sorted(dataset.keys()):
        if tag.group in (0x0028, 0x7FE0):
            continue
        try:
            element = dataset[tag]
            vr, value, keyword = str(element.VR), element.value, element.keyword
        except Exception:  # what pydicom cannot read cannot be read in a report either
            continue
        if vr == "SQ":
            if depth < DEEPEST:
                for item in value or ():
                    yield from _values(item, depth + 1)
        elif _identifies(vr, keyword, is_private=tag.is_private):
            yield from _strings(value)


def _identifies(vr: str, keyword: str, *, is_private: bool) -> bool:
    if vr == "PN" or vr in _DATES:
        return True
    if is_private:
        return vr in _TEXTS or vr in ("UN", "UI")
    named = bool(_IDENTIFYING.search(keyword)) and not _NAMING_THINGS.search(keyword)
    return named and (vr in _TEXTS or vr in ("UI", "IS"))


def _strings(value: Any) -> Iterator[str]:
    """Texts of an element. Bytes (private attributes of unknown kind) count where they are text."""
    if isinstance(value, bytes):
        value = value.decode("latin-1").strip("\0 ")
        if not value.isprintable():
            return
    is_many = not isinstance(value, str) and hasattr(value, "__iter__") and not hasattr(value, "components")
    for one in value if is_many else (value,):
        yield " ".join(str(one).split())
