"""A PACS by DICOMweb (PS3.18): STOW-RS stores, QIDO-RS lists, WADO-RS gives."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from adapters.serving.pacs import Refusal, require_no_query
from raydino.readers.base import SourceGone
from raydino.readers.dicomweb import INSTANCE, JSON, MODALITY, SERIES, STORED, STUDY, dicom_part, pages, parse_address
from raydino.readers.dimse_address import Instance
from raydino.readers.pacs_query import RADIOGRAPHS
from raydino.readers.web_request import Answer, get_once, post_once

_COUNT = "00201208"  # Number of Study Related Instances, which a server must send (PS3.18 table 10.6.3-3)
_FAILED, _REASON = "00081198", "00081197"
_DUPLICATE = 0x0111  # PS3.3 C.14.1.1: the failure reasons of C-STORE, and this one
_NO_SUCH_SERVICE = (405, 501)


@dataclass(frozen=True)
class WebPacs:
    """Implements ``Pacs``. ``shown`` is the DICOMweb root."""

    shown: str

    @classmethod
    def of(cls, address: str) -> WebPacs:
        """Raises UserError; the login comes from the environment, as for ``raydino ingest``."""
        root, query = parse_address(address)
        require_no_query(bool(query.filters), root)
        return cls(root)

    def store(self, files: Sequence[Path]) -> None:
        """One request for all of them: so they are listed together."""
        media_type, body = _multipart([file.read_bytes() for file in files])
        try:
            answer = post_once(f"{self.shown}/studies", JSON, media_type, body)
            if answer.status in _NO_SUCH_SERVICE:
                raise FileNotFoundError
        except FileNotFoundError:
            raise SourceGone("the PACS takes no results at this address; is it the DICOMweb root?") from None
        _require_stored(answer)

    def studies(self, first_day: date) -> Mapping[str, int | None]:
        found: dict[str, int | None] = {}
        for modality in RADIOGRAPHS:
            search = [("ModalitiesInStudy", modality), ("StudyDate", f"{first_day:%Y%m%d}-")]
            for item in pages(f"{self.shown}/studies", search, (STUDY,), (_COUNT,), ask=get_once):
                found[item[STUDY]] = int(item[_COUNT]) if item[_COUNT].isdecimal() else None
        return found

    def films(self, study: str) -> list[Instance]:
        items = pages(f"{self.shown}/studies/{study}/instances", [], (INSTANCE, SERIES), ask=get_once)
        # An object of unknown modality may be a result of ours, so it is left alone.
        return sorted(Instance(study, item[SERIES], item[INSTANCE]) for item in items if item[MODALITY] in RADIOGRAPHS)

    def fetch(self, film: Instance) -> bytes:
        url = f"{self.shown}/studies/{film.study}/series/{film.series}/instances/{film.uid}"
        return dicom_part(get_once(url, STORED))


def _multipart(parts: Sequence[bytes]) -> tuple[str, bytes]:
    """Content type and body of a multipart/related message (RFC 2387); the boundary follows from the parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    mark = f"raydino-{digest.hexdigest()}"
    body = b"".join(
        f"--{mark}\r\nContent-Type: application/dicom\r\nContent-Length: {len(part)}\r\n\r\n".encode() + part + b"\r\n"
        for part in parts
    )
    return f'multipart/related; type="application/dicom"; boundary={mark}', body + f"--{mark}--\r\n".encode()


def _require_stored(answer: Answer) -> None:
    """From the Store Instances Response (PS3.18 10.5.3). Raises Refusal or OSError."""
    reasons = _reasons(answer.content)
    if answer.status in (200, 204) and not reasons:
        return
    kinds = {reason for reason in reasons or [0] if reason != _DUPLICATE}
    if not kinds:
        return
    told = ", ".join(f"{reason:04X}" for reason in sorted(kinds))
    if any(0xA700 <= reason <= 0xA7FF for reason in kinds):
        raise SourceGone(f"the PACS is out of resources ({told})")
    if answer.status == 202 and not reasons:  # accepted in part, without a word that we understand
        raise OSError(errno.EIO, "the PACS has not stored all, and does not say why")
    raise Refusal(f"the PACS refuses the results (HTTP {answer.status}, reason {told})")


def _reasons(content: bytes) -> list[int]:
    """Of the objects that failed; empty where the answer names none or is of another kind."""
    try:
        answer: Any = json.loads(content or b"{}")
        answer = answer[0] if isinstance(answer, list) and answer else answer
        failed = answer.get(_FAILED, {}).get("Value", [])
        return [int(item[_REASON]["Value"][0]) for item in failed]
    except (ValueError, AttributeError, KeyError, IndexError, TypeError):
        return []
