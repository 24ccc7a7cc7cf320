"""The PACS's DICOMweb below ``/dicom-web``, for the viewer: read only, streamed, with the login of this service.

No open proxy: the host is fixed, a path may consist of nothing but DICOMweb's own words and identifiers, and a redirect
is not followed. Neighbours: ``ohif``, which reads through it; ``raydino.readers.web_request``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response, StreamingResponse

from raydino.readers.base import SourceGone
from raydino.readers.web_request import stream

if TYPE_CHECKING:
    import requests

ROOT = "/dicom-web"
_BELOW = re.compile(r"(studies|series|instances)(/[A-Za-z0-9][A-Za-z0-9._,-]{0,127}){0,12}")
_PASSED_ON = ("Accept", "Range", "If-None-Match")  # to the PACS; never cookies, nor who asks
_PASSED_BACK = ("Content-Type", "Content-Length", "Content-Range", "ETag")
_CHUNK_BYTES = 2**18


def proxy_routes(dicomweb: str) -> APIRouter:
    """GET below ``ROOT`` is GET below ``dicomweb``, the DICOMweb root of the PACS without a slash at its end."""
    router = APIRouter(include_in_schema=False)

    @router.get(ROOT + "/{path:path}")
    def ask(path: str, request: Request) -> Response:
        if _BELOW.fullmatch(path) is None:
            raise HTTPException(404, "no such DICOMweb resource")
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        headers["Accept-Encoding"] = "identity"
        # A PACS writes addresses of its own into its metadata: they shall be those of this service.
        headers["Forwarded"] = f"host={request.url.netloc};proto={request.url.scheme}"
        try:
            answer = stream(f"{dicomweb}/{path}", headers, request.query_params.multi_items())
        except SourceGone as error:
            raise HTTPException(502, str(error.strerror)) from None
        return _passed_back(answer)

    return router


def _passed_back(answer: requests.Response) -> Response:
    status = answer.status_code
    if status in (401, 403, 407) or 300 <= status < 304 or 304 < status < 400:
        answer.close()  # its login is this service's matter, not the user's
        raise HTTPException(502, f"the PACS answers {status}")
    headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
    return StreamingResponse(_chunks(answer), status, headers)


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    try:
        yield from answer.iter_content(_CHUNK_BYTES)
    finally:
        answer.close()
