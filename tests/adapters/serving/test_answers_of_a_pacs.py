"""What a PACS answers is no page and no script of ours, whatever it calls itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from adapters.serving.dicomweb_proxy import _passed_back


def _answer(media: str | None) -> SimpleNamespace:
    headers = {} if media is None else {"Content-Type": media}
    return SimpleNamespace(status_code=200, headers=headers, close=lambda: None, iter_content=lambda count: [b"x"])


@pytest.mark.parametrize(
    "media",
    [
        "text/html",
        "text/javascript; charset=utf-8",
        "application/javascript",
        "application/xhtml+xml",
        "image/svg+xml",
        "text/xml",
        "application/dicom+json\r\nX: y",
        "application/jsonp",
        "",
        None,
    ],
)
def test_what_a_browser_would_run_is_only_bytes(media: str | None) -> None:
    passed = _passed_back(_answer(media))  # type: ignore[arg-type]
    assert passed.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in passed.headers["content-security-policy"]


@pytest.mark.parametrize(
    "media",
    [
        "application/dicom+json",
        "application/json; charset=utf-8",
        'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.4.90; boundary=a1',
        "image/jpeg",
        "application/octet-stream",
        "application/pdf",
    ],
)
def test_what_a_viewer_reads_stays(media: str) -> None:
    passed = _passed_back(_answer(media))  # type: ignore[arg-type]
    assert passed.headers["content-type"] == media
    assert "sandbox" in passed.headers["content-security-policy"]
