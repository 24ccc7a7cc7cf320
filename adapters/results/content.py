"""Content items of a structured report, encoded as they are made (PS3.3 C.17.3; Explicit VR Little Endian, UTF-8).

highdicom makes an object of each item and copies, searches and checks them several times: it spends longer on a report
than a small encoder on the film. These few functions spend next to nothing; tests hold their bytes against highdicom's.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from pydicom.dataelem import RawDataElement
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.valuerep import format_number_as_ds

CONTAINS, MODIFIES, OBSERVES = "CONTAINS", "HAS CONCEPT MOD", "HAS OBS CONTEXT"  # relationships to the parent
_LONG = ("SQ", "UT")  # kinds of value whose length takes four bytes
_CONTENT = 0x0040A730
_REFERRED, _SEGMENT = 0x00081199, 0x0062000B
_NAME, _VALUE, _MEASURED, _UNITS = 0x0040A043, 0x0040A168, 0x0040A300, 0x004008EA


def element(tag: int, vr: str, value: str | bytes) -> bytes:
    """One data element; text is padded to an even length."""
    encoded = value if isinstance(value, bytes) else value.encode()
    if len(encoded) % 2:
        encoded += b"\0" if vr == "UI" else b" "
    length = struct.pack("<HI", 0, len(encoded)) if vr in _LONG else struct.pack("<H", len(encoded))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + encoded


def sequence(tag: int, *items: bytes) -> bytes:
    """A sequence of encoded items."""
    return element(tag, "SQ", b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item for item in items))


def content_sequence(items: list[bytes]) -> RawDataElement:
    """The root's ContentSequence as pydicom takes it."""
    encoded = sequence(_CONTENT, *items)[12:]
    return RawDataElement(Tag(_CONTENT), "SQ", len(encoded), encoded, 0, False, True)


def code_item(relationship: str, name: Code, value: Code) -> bytes:
    """CODE."""
    return _item(relationship, "CODE", name) + _codes(_VALUE, value)


def text_item(relationship: str, name: Code, text: str) -> bytes:
    """TEXT."""
    return _item(relationship, "TEXT", name) + element(0x0040A160, "UT", text)


def uid_item(relationship: str, name: Code, uid: str) -> bytes:
    """UIDREF."""
    return _item(relationship, "UIDREF", name) + element(0x0040A124, "UI", uid)


def number_item(name: Code, value: float, unit: Code) -> bytes:
    """NUM: what it CONTAINS, to 16 characters and as a double."""
    decimal = element(0x0040A30A, "DS", format_number_as_ds(value))
    exact = element(0x0040A161, "FD", struct.pack("<d", value))
    return _item(CONTAINS, "NUM", name) + sequence(_MEASURED, _codes(_UNITS, unit) + exact + decimal)


def image_item(name: Code, sop_class_uid: str, sop_instance_uid: str, segment: int | None = None) -> bytes:
    """IMAGE, or one segment of a Segmentation by its number."""
    referred = element(0x00081150, "UI", sop_class_uid) + element(0x00081155, "UI", sop_instance_uid)
    if segment is not None:
        referred += element(_SEGMENT, "US", struct.pack("<H", segment))
    return sequence(_REFERRED, referred) + _item(CONTAINS, "IMAGE", name)


def container_item(name: Code, items: list[bytes], template: str | None = None) -> bytes:
    """CONTAINER; ``template`` is its number in PS3.16."""
    used = b""
    if template is not None:
        used = sequence(0x0040A504, element(0x00080105, "CS", "DCMR") + element(0x0040DB00, "CS", template))
    head = _item(CONTAINS, "CONTAINER", name) + element(0x0040A050, "CS", "CONTINUOUS")
    return head + used + sequence(_CONTENT, *items)


@lru_cache(maxsize=1024)
def _item(relationship: str, value_type: str, name: Code) -> bytes:
    head = element(0x0040A010, "CS", relationship) + element(0x0040A040, "CS", value_type)
    return head + _codes(_NAME, name)


@lru_cache(maxsize=1024)
def _codes(tag: int, code: Code) -> bytes:
    parts = (code.value, "SH"), (code.scheme_designator, "SH"), (code.meaning, "LO")
    tags = (0x00080100, 0x00080102, 0x00080104)
    return sequence(tag, b"".join(element(t, vr, text) for t, (text, vr) in zip(tags, parts, strict=True)))
