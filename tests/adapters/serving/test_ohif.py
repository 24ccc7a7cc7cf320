"""OHIF over a real Orthanc in a real browser: a study opens, and our segmentation lies on its film.

Needs playwright, a Chromium, and OHIF: RAYDINO_OHIF names the archive that ``npm pack @ohif/app`` makes, or else
``raydino viewer install`` has put it into the user's folder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydicom.dataset import Dataset

from adapters.results.model import Author, Model
from adapters.results.segmentation import segmentation
from adapters.serving.dicomweb_proxy import proxy_routes
from adapters.serving.headers import SecurityHeaders
from adapters.serving.ohif import study_address, viewer_routes
from adapters.serving.pacs import open_pacs
from raydino.data.film_source import source_of_film
from raydino.data.one_film import film_of_dicom
from raydino.dicom.pixels import PixelRecipe
from raydino.errors import UserError

ROWS, COLS = 131, 97  # two masks of one bit a pixel have an odd number of bytes then


@pytest.fixture
def address(ohif: Path, start_orthanc: Callable[..., Any], study: list[Path]) -> Iterator[str]:
    """Of the viewer and the proxy, with the headers of the service, over an Orthanc that holds ``study``."""
    orthanc = start_orthanc()
    open_pacs(orthanc.web).store(study)
    app = FastAPI()
    for routes in (viewer_routes(ohif), proxy_routes(orthanc.web)):
        app.include_router(routes)
    app.add_middleware(SecurityHeaders, is_tls=False)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def study(tmp_path: Path, radiograph: Callable[..., Dataset]) -> list[Path]:
    """A film with a sigmoid VOI LUT, grey throughout, and the masks of two structures on it."""
    film = radiograph(
        Rows=ROWS,
        Columns=COLS,
        PatientBirthDate="19610203",
        PatientSex="F",
        StudyID="1",
        AccessionNumber="",
        ViewPosition="PA",
        PatientOrientation=["L", "F"],
        PixelSpacing=[2.0, 2.0],
        WindowCenter=128,
        WindowWidth=256,
        VOILUTFunction="SIGMOID",
    )
    stored = np.full((ROWS, COLS), 100, np.uint8)
    stored[40:90, 20:70] = 160
    film.PixelData = stored.tobytes() + b"\0" * (stored.size % 2)
    path = tmp_path / "film.dcm"
    film.save_as(path, enforce_file_format=True)
    one = film_of_dicom(path, PixelRecipe(shorter_side=40).resolved())
    rows, cols = one.pixels.shape
    masks = {name: np.zeros((rows, cols), bool) for name in ("lungs", "heart")}
    masks["lungs"][rows // 4 : rows // 2, cols // 4 : cols // 2] = True
    masks["heart"][rows // 2 : 3 * rows // 4, cols // 2 : 3 * cols // 4] = True
    author = Author("segmentation", "segmentation_conv", ("lungs", "heart"), "d" * 64)
    made = segmentation(masks, source_of_film(path, one), Model("e" * 64, (author,), "1.2.3"))
    made.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    return [path, tmp_path / "seg.dcm"]


@pytest.mark.timeout(420)
def test_a_segmentation_lies_on_its_film(
    address: str, coloured: Callable[[Any], npt.NDArray[np.bool_]], launch: Callable[..., Any]
) -> None:
    with launch(web_gl=True) as browser:
        page = browser.new_page(viewport={"width": 900, "height": 600})
        page.set_default_timeout(180_000)
        errors: list[str] = []
        elsewhere: list[str] = []
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda asked: elsewhere.append(asked.url) if is_elsewhere(asked.url, address) else None)
        page.goto(address + study_address("2.25.900"))
        page.get_by_text("investigational use only").wait_for()
        page.get_by_text("Confirm and hide").click()
        page.get_by_text("raydino SEG", exact=False).first.wait_for()
        assert coloured(page).sum() < 100
        with page.expect_console_message(lambda said: "SEG parse complete" in said.text):
            page.get_by_text("raydino SEG", exact=False).first.dblclick()
        end = time.monotonic() + 120
        while (found := coloured(page)).sum(axis=(1, 2)).min() < 500:
            assert time.monotonic() < end
            page.wait_for_timeout(500)
        red, green = (np.argwhere(one).mean(0) for one in found)
        assert (red < green).all()  # the lungs lie above the heart and left of it, as the masks do
        assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0
    assert errors == []
    assert elsewhere == []


def is_elsewhere(url: str, address: str) -> bool:
    return not url.startswith((address, "blob:", "data:"))


def test_what_is_served_and_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "dist" / "sub").mkdir(parents=True)
    for name, content in {"index.html": "page", "app.0123456789abcdef.js": "script", "sub/a.wasm": "wasm"}.items():
        (tmp_path / "dist" / name).write_text(content)
    (tmp_path / "raydino.json").write_text('{"version": "3.13.2", "integrity": "x", "base": "/viewer"}')
    app = FastAPI()
    app.include_router(viewer_routes(tmp_path))
    app.add_middleware(SecurityHeaders, is_tls=False)
    client = TestClient(app)
    for path in ("", "viewer?StudyInstanceUIDs=2.25.1", "index.html"):
        answer = client.get(f"/viewer/{path}")
        assert answer.text == "page"
        assert "connect-src 'self' blob: data:" in answer.headers["content-security-policy"]
        assert "unsafe-inline'" not in answer.headers["content-security-policy"].partition("style-src")[0]
    script, wasm = client.get("/viewer/app.0123456789abcdef.js"), client.get("/viewer/sub/a.wasm")
    assert "max-age" in script.headers["cache-control"]
    assert wasm.headers["content-type"] == "application/wasm"
    config = client.get("/viewer/app-config.js").text
    assert '"wadoRoot": "/dicom-web"' in config
    assert "://" not in config
    for path in ("sw.js", "missing.js", "..%2fraydino.json", "%2e%2e/raydino.json"):
        assert client.get(f"/viewer/{path}").status_code == 404
    with pytest.raises(UserError, match="OHIF is not installed"):
        viewer_routes(tmp_path / "nowhere")
