"""The whole way of a film: into a PACS, read because the service watches it, shown on the page, opened in OHIF."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest

from adapters.serving.pacs import open_pacs


@pytest.mark.timeout(600)
def test_a_film_of_the_pacs_is_read_shown_and_opened_in_ohif(
    start_orthanc: Callable[..., Any],
    start_serving: Callable[..., Any],
    ohif: Path,
    dicom_films: list[Path],
    tmp_path: Path,
    coloured: Callable[[Any], Any],
    launch: Callable[..., Any],
) -> None:
    film = pydicom.dcmread(dicom_films[0])
    film.StudyDate = f"{date.today():%Y%m%d}"  # the watch looks at films of today
    film.save_as(tmp_path / "film.dcm")
    orthanc = start_orthanc()
    serving = start_serving(tmp_path / "room", "--pacs", orthanc.web, "--watch", "--viewer", str(ohif))
    open_pacs(orthanc.web).store([tmp_path / "film.dcm"])
    end = time.monotonic() + 120
    while orthanc.ask("/statistics")["CountInstances"] < 4:  # the film, SEG, SR and PDF
        assert time.monotonic() < end
        time.sleep(0.2)
    with launch(web_gl=True) as browser:
        context = browser.new_context(viewport={"width": 1000, "height": 700})
        errors: list[str] = []
        elsewhere: list[str] = []
        context.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        context.on("request", lambda asked: elsewhere.append(asked.url))
        page = context.new_page()
        page.set_default_timeout(180_000)
        page.goto(serving.address)
        page.locator("#jobs button").first.click()
        with context.expect_page() as opened:
            page.get_by_text("Open in OHIF").click()
        viewer = opened.value
        viewer.set_default_timeout(180_000)
        viewer.get_by_text("Confirm and hide").click()
        with viewer.expect_console_message(lambda said: "SEG parse complete" in said.text):
            viewer.get_by_text("raydino SEG", exact=False).first.dblclick()
        end = time.monotonic() + 120
        while coloured(viewer).sum() < 500:
            assert time.monotonic() < end
            viewer.wait_for_timeout(500)
    assert errors == []
    assert [url for url in elsewhere if not url.startswith((serving.address, "blob:", "data:"))] == []
