"""A PACS by DICOMweb (PS3.18): QIDO-RS lists, WADO-RS gives each film as it is stored.

``dicomweb+https://host/dicom-web?StudyDate=20240101-20241231``, or the bare address where it ends in
/dicom-web. Listing runs in the parent, study by study; retrieval runs in the workers, side by side.
Neighbours: ``web_request`` (one request), ``pacs_query`` (what is asked for).
"""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, Refused, SourceGone, SourceImage, refuse_table, require_extra
from raydino.readers.pacs_query import PacsQuery, is_uid, parse_query
from raydino.readers.web_request import LOGIN_VARIABLE, TOKEN_VARIABLE, Answer, get

PAGE = 500  # results asked for at a time
JSON = "application/dicom+json"
STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
STUDY, SERIES, INSTANCE, MODALITY = "0020000D", "0020000E", "00080018", "00080060"


@dataclass(frozen=True)
class WadoInstance:
    """Retrieves one object. ``url`` is that of the instance."""

    url: str

    def __call__(self) -> BinaryIO:
        return io.BytesIO(dicom_part(get(self.url, STORED)))


class DicomWeb:
    """Implements ``Reader``. Films come in order of their UIDs: study, series, instance."""

    cohort = "dicom"

    def __init__(self, source: str, options: ReaderOptions) -> None:
        refuse_table("dicomweb", options)
        require_extra("pacs", "requests")
        self.labels: tuple[str, ...] = ()
        self.left_out: Mapping[str, str] = {}
        self.notes: list[str] = []
        self._root, self._query = parse_address(source)
        if self._root.startswith("http://"):
            self.notes.append("the address is http, so films and login travel unencrypted")
        self._studies = self._list_studies()
        if not self._studies:
            raise UserError(f"has no {self._query.described()}", where=self._root, remedy="see docs/sources.md")

    @classmethod
    def recognises(cls, source: str) -> bool:
        if source.startswith(("dicomweb+http://", "dicomweb+https://")):
            return True
        path = source.partition("?")[0].rstrip("/")
        return source.startswith(("http://", "https://")) and path.endswith("/dicom-web")

    def total(self) -> int | None:
        return None

    def images(self) -> Iterator[SourceImage]:
        for study in self._studies:
            try:
                found = sorted(self._instances(study))
            except SourceGone as error:
                raise _gone(error, self._root) from None
            except OSError as error:
                yield SourceImage(study, opener=Refused(f"its study cannot be listed: {error.strerror}"))
                continue
            for series, instance in found:
                url = f"{self._root}/studies/{study}/series/{series}/instances/{instance}"
                yield SourceImage(f"{study}/{series}/{instance}", opener=WadoInstance(url))

    def _list_studies(self) -> list[str]:
        studies: set[str] = set()
        try:
            for search in self._query.searches():
                studies.update(item[STUDY] for item in pages(f"{self._root}/studies", search, (STUDY,)))
        except FileNotFoundError as error:
            why = f"{error.strerror}: is this the DICOMweb root? it often ends in /dicom-web"
            raise UserError(why, where=self._root) from None
        except OSError as error:
            raise _gone(error, self._root) from None
        return sorted(studies)

    def _instances(self, study: str) -> set[tuple[str, str]]:
        """(series, instance) of every object of a wanted modality."""
        url = f"{self._root}/studies/{study}/instances"
        items = pages(url, [], (INSTANCE, SERIES))
        return {(item[SERIES], item[INSTANCE]) for item in items if self._query.wants(item[MODALITY])}


def parse_address(source: str) -> tuple[str, PacsQuery]:
    """The root without a slash at its end, and the query. Raises UserError; never quotes a password."""
    parts = urlsplit(source.removeprefix("dicomweb+"))
    host = parts.netloc.rpartition("@")[2]
    root = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    if not host:
        raise UserError("names no host", where=root, remedy="as in dicomweb+https://pacs.example.org/dicom-web")
    if "@" in parts.netloc:
        remedy = f"put name:password in {LOGIN_VARIABLE}, or a token in {TOKEN_VARIABLE}"
        raise UserError("a login does not belong into the address", where=root, remedy=remedy)
    return root, parse_query(parts.query, root)[0]


def dicom_part(answer: Answer) -> bytes:
    """The one DICOM file of an answer, multipart or (as some servers do) bare. Raises OSError."""
    header = Message()
    header["Content-Type"] = answer.media_type
    if header.get_content_type() == "application/dicom":
        return answer.content
    boundary = header.get_param("boundary")
    if header.get_content_maintype() != "multipart" or not isinstance(boundary, str):
        raise OSError(errno.EPROTO, "the server answers with something other than DICOM")
    mark = b"--" + boundary.encode()
    start = answer.content.find(b"\r\n\r\n", answer.content.find(mark)) + 4
    end = answer.content.find(b"\r\n" + mark, start)
    if start < 4 or end < 0:
        raise OSError(errno.EPROTO, "the server's answer breaks off")
    return answer.content[start:end]


def pages(
    url: str,
    search: list[tuple[str, str]],
    keys: Sequence[str],
    others: Sequence[str] = (MODALITY,),
    ask: Callable[..., Answer] = get,
) -> Iterator[dict[str, str]]:
    """Results of a search whose first of ``keys`` is new; all of ``keys`` are UIDs, ``others`` may be empty.

    It ends with a page that brings nothing new: servers may send fewer than asked for, more, or
    the first page again. Raises OSError.
    """
    seen: set[str] = set()
    offset = 0
    while True:
        paging = [("limit", str(PAGE)), ("offset", str(offset))]
        items = _json_items(ask(url, JSON, [*search, *paging]))
        before = len(seen)
        for item in items:
            values = {key: _value(item, key) for key in (*keys, *others)}
            if all(is_uid(values[key]) for key in keys) and values[keys[0]] not in seen:
                seen.add(values[keys[0]])
                yield values
        if len(seen) == before:
            return
        offset += len(items)


def _json_items(answer: Answer) -> list[Any]:
    """An empty answer (204) is no results."""
    try:
        items = json.loads(answer.content or b"[]")
    except ValueError:
        items = None
    if not isinstance(items, list):
        raise OSError(errno.EPROTO, "the server answers with something other than DICOM JSON; is it the DICOMweb root?")
    return items


def _value(item: Any, tag: str) -> str:
    """The first value of an attribute, a number in its digits, ``""`` where there is none."""
    try:
        value = item[tag]["Value"][0]
    except (KeyError, IndexError, TypeError):
        return ""
    return str(value) if isinstance(value, str | int) else ""


def _gone(error: OSError, root: str) -> UserError:
    return UserError(error.strerror or type(error).__name__, where=root)
