"""The reading room's page in a real browser, over a real service: film, window, overlays, findings, draft, errors."""

import base64
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import requests
import uvicorn

from adapters.reading import Reader
from adapters.results.model import Model
from adapters.serving.access import LOOPBACK, AccessLog, Keeper
from adapters.serving.app import create_app
from adapters.serving.desk import Desk, Gate
from adapters.serving.service import Service

WIDTHS = {"desktop": 1280, "tablet": 768, "phone": 390}
NOTICE = "Research use only, never a diagnosis."
TOKEN = "a token of the tests alone"
DROP = """async (files) => {
  const carried = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    carried.items.add(new File([bytes], name));
  }
  document.body.dispatchEvent(new DragEvent("dragenter", {dataTransfer: carried, bubbles: true}));
  if (document.getElementById("drop").hidden) throw new Error("nothing says where to drop");
  document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""
STUCK_OUT = """() => [...document.querySelectorAll("body *")]
  .filter((e) => !e.closest(".scroll, svg, .sr, .skip, #jobs, .theme span") && e.getClientRects().length)
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((e) => e.tagName + " " + e.className + " " + e.textContent.trim().slice(0, 40))"""


@pytest.fixture(scope="module")
def service(reader: Reader, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = Service.open(tmp_path_factory.mktemp("page") / "room", reader, model, file_processes=1)
    opened.intake.reserve_bytes = 0
    opened.start()
    yield opened
    opened.stop()


@pytest.fixture(scope="module")
def serve(service: Service) -> Iterator[Callable[..., str]]:
    """``serve(keeper)``: the address where the service answers."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(keeper: Keeper) -> str:
        gate = Gate(keeper, AccessLog(service.folder / f"access-{len(servers)}.jsonl"), LOOPBACK)
        app = create_app(Desk(service.queue, service.intake, service.looking, service.monitoring, gate))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def address(serve: Callable[..., str]) -> str:
    return serve(Keeper())


@pytest.fixture(scope="module")
def films(address: str, dicom_films: list[Path]) -> list[str]:
    """Ids of two films that are read."""
    ids = []
    for path in dicom_films[:2]:
        sent = requests.post(f"{address}/studies", files={"files": path.read_bytes()}, timeout=60)
        ids.append(sent.json()["jobs"][0]["id"])
    for job_id in ids:
        end = time.monotonic() + 60
        while result_of(address, job_id)["state"] != "read":
            assert time.monotonic() < end
            time.sleep(0.05)
    return ids


@pytest.fixture
def expected_faults() -> list[str]:
    """Patterns of what the browser may say in this test: it tells of each answer that is an error."""
    return []


@pytest.fixture
def page(browser: Any, address: str, expected_faults: list[str]) -> Iterator[Any]:
    """The page, opened; a request beyond the service, or an error on the console, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, color_scheme="dark")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    opened = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: faults.append(message.text))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.set_default_timeout(60_000)
    opened.goto(address)
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith((f"{address}/", "data:", "blob:"))] == []
    assert [fault for fault in faults if not any(re.search(one, fault) for one in expected_faults)] == []


def result_of(address: str, job_id: str) -> dict[str, Any]:
    return requests.get(f"{address}/results/{job_id}", timeout=60).json()


def drop(page: Any, *contents: bytes) -> None:
    page.evaluate(DROP, [[f"PLANTED_{n}.dcm", base64.b64encode(one).decode()] for n, one in enumerate(contents)])


def open_film(page: Any, job_id: str) -> None:
    page.get_by_role("button", name=f"{job_id[:4]} {job_id[4:8]}").click()
    shown(page, job_id)


def shown(page: Any, job_id: str) -> None:
    page.locator(f"#film[aria-label='Film {job_id[:4]} {job_id[4:8]}']").wait_for()
    page.locator("#overlays input").first.wait_for()


def canvas(page: Any) -> npt.NDArray[np.uint8]:
    """[rows, cols, 3] what is on the canvas now, RGB on black."""
    frame = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    url = page.evaluate(f"async () => {{ await {frame}; return document.getElementById('film').toDataURL(); }}")
    content = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    rgba = cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    return np.where(rgba[..., 3:] > 0, rgba[..., :3], 0)


def place(page: Any) -> tuple[float, int, int]:
    """Scale, left and top of the film on the canvas, in pixels of the screen."""
    said = page.evaluate("({...document.getElementById('film').dataset})")
    return float(said["scale"]), int(said["left"]), int(said["top"])


def stored(address: str, job_id: str) -> npt.NDArray[np.uint16]:
    film = result_of(address, job_id)["film"]
    content = requests.get(address + film["url"], timeout=60).content
    return np.frombuffer(content, "<u2").reshape(film["rows"], film["cols"])


def windowed(film: npt.NDArray[np.uint16], centre: int, width: int) -> npt.NDArray[np.int64]:
    """LINEAR of DICOM PS3.3 C.11.2.1.2.1, halves rounded up."""
    x = film.astype(np.float64)
    inside = np.floor(((x - (centre - 0.5)) / (width - 1) + 0.5) * 255 + 0.5)
    below, above = x <= centre - 0.5 - (width - 1) / 2, x > centre - 0.5 + (width - 1) / 2
    return np.where(below, 0, np.where(above, 255, inside)).astype(np.int64)


def window_of(page: Any) -> tuple[int, int]:
    return tuple(int(page.locator(f"#{part}-value").text_content()) for part in ("centre", "width"))


def no_overlays(page: Any) -> None:
    for box in page.locator("#overlays input[type=checkbox]").all():
        box.uncheck()


def planted(page: Any, address: str, job_id: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Have the service say something else of a film, in the shape in which it says it."""
    said = result_of(address, job_id)
    change(said)
    page.route(f"**/results/{job_id}", lambda route: route.fulfill(json=said))


DRAFT = "The heart is enlarged. No pleural effusion. The lungs are clear."
AGAINST = {"sentence": "No pleural effusion.", "label": "Pleural_Effusion", "reason": "the classifier gives 0.91"}


def draft(said: dict[str, Any], text: str = DRAFT, contradictions: Sequence[dict[str, str]] = (AGAINST,)) -> None:
    """The adapter of these tests often says nothing."""
    said["reading"]["draft"] = {"text": text, "verified": False, "contradictions": list(contradictions)}


def test_a_dropped_film_is_read_and_shown(page: Any, address: str, dicom_films: list[Path]) -> None:
    path = dicom_films[2]
    drop(page, path.read_bytes())
    page.locator("#panels").wait_for()
    job_id = page.evaluate("location.hash").removeprefix("#")
    shown(page, job_id)
    said = result_of(address, job_id)["reading"]
    rows = page.locator("#findings > li")
    words = {"present": "called, ≥", "absent": "not called, <", None: "no operating point"}
    for row, (label, finding) in zip(rows.all(), said["findings"].items(), strict=True):
        assert row.locator("h3").text_content() == label.replace("_", " ")
        assert row.locator(".word").text_content().startswith(words[finding["called"]])
        box, bar = row.locator(".bar").bounding_box(), row.locator(".length").bounding_box()
        assert bar["width"] / box["width"] == pytest.approx(max(finding["probability"], 2 / box["width"]), abs=0.01)
        if finding["threshold"] is None:
            assert row.locator(".tick").count() == 0
        else:
            tick = row.locator(".tick").bounding_box()
            middle = (tick["x"] + tick["width"] / 2 - box["x"]) / box["width"]
            assert middle == pytest.approx(finding["threshold"], abs=0.01)
    overlays = page.locator("#overlays li").all_text_contents()
    assert len(overlays) == len(said["structures"]) + 1  # and attention
    text = page.locator("#draft-text")
    assert text.count() == (said["draft"] is not None)
    assert not said["draft"] or text.input_value() == said["draft"]["text"]
    assert page.locator("#measurements dd").count() == len(said["measurements"]) > 0
    assert "Findings called" in page.locator("#state").text_content()
    for part in ("segmentation.dcm", "report.dcm", "report.pdf"):
        assert page.locator(f"#results a[href='/results/{job_id}/{part}']").count() == 1
    header = pydicom.dcmread(path, stop_before_pixels=True)
    everything = page.content() + page.url
    for value in (header.PatientID, header.PatientName, header.StudyInstanceUID, header.SOPInstanceUID, "PLANTED"):
        assert str(value) not in everything


def test_pixels_follow_the_window_as_dicom_computes_it(page: Any, address: str, films: list[str]) -> None:
    open_film(page, films[0])
    no_overlays(page)
    film = stored(address, films[0])
    page.locator("#film").press("1")  # 100 %: a pixel of the film is a pixel of the screen
    assert window_of(page) == (32768, 65536)
    assert differs(page, windowed(film, 32768, 65536)) == 0
    page.locator("#centre").fill("20000")
    page.locator("#width").fill("9000")
    assert differs(page, windowed(film, 20000, 9000)) == 0
    box = page.locator("#film").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down(button="right")
    page.mouse.move(box["x"] + 250, box["y"] + 180, steps=5)
    page.mouse.up(button="right")
    dragged = windowed(film, 20000 - 20 * 64, 9000 + 50 * 64)
    assert differs(page, dragged) == 0
    assert window_of(page) == (20000 - 20 * 64, 9000 + 50 * 64)
    page.get_by_role("button", name="Invert").click()
    assert differs(page, 255 - dragged) == 0
    page.locator("#preset").select_option("this film's range")
    canvas(page)
    centre, width = window_of(page)
    low, high = (np.sort(film, axis=None)[int(np.ceil(share * film.size)) - 1] for share in (0.005, 0.995))
    assert (centre, width) == (round(low + (high - low + 1) / 2 + 1e-9), high - low + 1)
    page.get_by_role("button", name="Reset").click()
    page.locator("#film").press("1")
    assert differs(page, windowed(film, 32768, 65536)) == 0


def differs(page: Any, shades: npt.NDArray[np.int64]) -> int:
    """In how many pixels what is seen of a film at 100 % is not ``shades``."""
    drawn = canvas(page).astype(np.int64)
    scale, left, top = place(page)
    assert scale == 1
    part = drawn[max(top, 0) : top + shades.shape[0], max(left, 0) : left + shades.shape[1]]
    expected = shades[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
    assert part.shape[0] > 200
    return int((part != expected[..., None]).any(axis=2).sum())


def test_nothing_blurs_above_100_percent(page: Any, address: str, films: list[str]) -> None:
    open_film(page, films[0])
    no_overlays(page)
    film = stored(address, films[0])
    box = page.locator("#film").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(8):
        page.mouse.wheel(0, -300)
    drawn = canvas(page)[..., 0]
    scale, left, top = place(page)
    assert scale > 8
    assert page.locator("#zoom").text_content() == f"{round(100 * scale)} %"
    shades = windowed(film, 32768, 65536)
    row, col = int((drawn.shape[0] / 2 - top) / scale), int((drawn.shape[1] / 2 - left) / scale)
    for r in range(row - 2, row + 3):
        for c in range(col - 2, col + 3):
            inside = [np.ceil(edge + 1) for edge in (top + r * scale, left + c * scale)]
            height = width = int(scale - 3)
            patch = drawn[int(inside[0]) : int(inside[0]) + height, int(inside[1]) : int(inside[1]) + width]
            assert (patch == shades[r, c]).all()
    page.get_by_role("button", name="Fit").click()
    canvas(page)
    assert place(page)[0] == pytest.approx(min(box["width"] / film.shape[1], box["height"] / film.shape[0]), rel=0.01)


def test_outlines_go_round_every_pixel_of_a_mask(page: Any) -> None:
    random = np.random.default_rng(0)
    for rows, cols, share in ((1, 1, 1.0), (7, 9, 0.5), (30, 20, 0.6), (5, 5, 0.0), (4, 6, 1.0)):
        mask = random.random((rows, cols)) < share
        if (rows, cols) == (30, 20):
            mask[5:20, 5:15] = True
            mask[8:12, 8:12] = False  # a hole
        found = page.evaluate(
            """async ([mask, scale]) => {
              const {outlines, pathOf} = await import("/page/contours.js");
              const rows = mask.length, cols = mask[0].length;
              const loops = outlines((row, col) => mask[row][col], rows, cols);
              const canvas = new OffscreenCanvas(cols * scale, rows * scale);
              const context = canvas.getContext("2d", {willReadFrequently: true});
              context.scale(scale, scale);
              context.fill(pathOf(loops));
              const {data} = context.getImageData(0, 0, cols * scale, rows * scale);
              return [loops, [...data].filter((_, n) => n % 4 === 3)];
            }""",
            [mask.tolist(), 3],
        )
        loops, alpha = found
        filled = np.array(alpha).reshape(3 * rows, 3 * cols)
        assert np.array_equal(filled, 255 * np.kron(mask, np.ones((3, 3), int)))
        area = sum(shoelace(np.array(loop)) for loop in loops)
        assert area == mask.sum()


def shoelace(corners: npt.NDArray[np.int64]) -> float:
    x, y = corners.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def test_overlays_are_shown_filled_and_taken_away(page: Any, address: str, films: list[str]) -> None:
    open_film(page, films[0])
    no_overlays(page)
    page.locator("#film").press("1")
    bare = canvas(page)
    result = result_of(address, films[0])
    largest = max(result["reading"]["structures"], key=lambda name: result["reading"]["structures"][name]["share"])
    number = [mask["structure"] for mask in result["masks"]].index(largest)
    box = page.locator("#overlays input[type=checkbox]").nth(number)
    box.check()
    outlined = canvas(page)
    page.get_by_label("Fill").check()
    filled = canvas(page)
    png = requests.get(address + result["masks"][number]["url"], timeout=60).content
    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE) > 0
    changed = [np.abs(one.astype(int) - bare).max(axis=2) > 8 for one in (outlined, filled)]
    assert 0 < changed[0].sum() < changed[1].sum()
    _, left, top = place(page)
    seen = mask[max(-top, 0) :, max(-left, 0) :][: bare.shape[0], : bare.shape[1]]
    assert changed[1].sum() == pytest.approx(seen.sum(), rel=0.02)
    page.get_by_label("Opacity of overlays").fill("0.1")
    assert np.abs(canvas(page).astype(int) - bare).max() < np.abs(filled.astype(int) - bare).max()
    box.uncheck()
    assert np.array_equal(canvas(page), bare)
    with page.expect_response("**/attention.png"):
        page.get_by_label("Attention").check()
    page.wait_for_timeout(200)
    assert not np.array_equal(canvas(page), bare)


def test_the_draft_is_edited_marked_copied_and_reset(page: Any, address: str, films: list[str]) -> None:
    planted(page, address, films[0], draft)
    planted(page, address, films[1], lambda said: draft(said, "Another film.", ()))
    open_film(page, films[0])
    area = page.locator("#draft-text")
    assert page.locator(".unverified").is_visible()
    assert page.locator(".behind mark").all_text_contents() == ["No pleural effusion."]
    assert "Pleural Effusion: the classifier gives 0.91" in page.locator("#against li").text_content()
    page.locator("#against .quote").press("Enter")
    selected = "(t) => t.value.slice(t.selectionStart, t.selectionEnd)"
    assert area.evaluate(selected) == "No pleural effusion."
    page.keyboard.type("A small effusion.")
    assert area.input_value() == DRAFT.replace("No pleural effusion.", "A small effusion.")
    assert page.locator(".behind mark").count() == 0
    assert "no longer in the text" in page.locator("#against li").text_content()
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"Unverified draft. {NOTICE}\n\n{area.input_value()}\n"
    leaves = "dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert page.evaluate(leaves) is False  # the browser would ask
    open_film(page, films[1])
    assert area.input_value() == "Another film."
    open_film(page, films[0])
    assert "A small effusion." in area.input_value()
    page.get_by_role("button", name="Back to the model's text").click()
    assert area.input_value() == DRAFT
    assert page.evaluate(leaves) is True
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])") == "[{},{}]"


def peer(axis: str, stratum: str, metric: str, estimate: float | None, n: int, **said: Any) -> dict[str, Any]:
    low, high = (None, None) if estimate is None else (estimate - 0.1, estimate + 0.05)
    counts = {"n_images": n, "n_patients": n - 1, "n_positive": n // 4, "status": "ok", "reason": None}
    values = {"estimate": estimate, "ci_low": low, "ci_high": high}
    return {"axis": axis, "stratum": stratum, "metric": metric} | values | counts | said


def test_beside_a_probability_stands_how_well_the_model_does_for_such_patients(
    page: Any, address: str, films: list[str]
) -> None:
    few = {"status": "too_few", "reason": "9 patients, at least 20 needed"}
    label, other, *_ = result_of(address, films[0])["reading"]["findings"]

    def change(said: dict[str, Any]) -> None:
        told = [
            *(peer("all", "all", metric, 0.9, 400) for metric in ("auroc", "sensitivity", "specificity")),
            *(peer("age", "40–59", metric, 0.8, 100) for metric in ("auroc", "sensitivity", "specificity")),
            *(peer("sex × age", "F × 40–59", metric, None, 10, **few) for metric in ("auroc", "sensitivity")),
        ]
        said["peers"] = {label: told, other: told[-2:]}
        for finding, probability in zip(said["reading"]["findings"].values(), (0.2, 0.7), strict=False):
            finding["probability"] = probability

    planted(page, address, films[0], change)
    open_film(page, films[0])
    rows = page.locator("#findings > li")
    short = rows.nth(0).locator("summary").text_content()
    assert "age 40–59; 100 films, 25 with it" in short
    assert "Sensitivity 0.80 0.70–0.85" in short
    assert "too few to say" in rows.nth(1).locator("summary").text_content()
    assert rows.nth(2).locator("details").count() == 0
    rows.nth(0).locator("summary").focus()
    page.keyboard.press("Enter")
    table = rows.nth(0).locator("table")
    assert table.is_visible()
    assert table.locator("tbody tr").count() == 3
    assert "too few to say 9 patients, at least 20 needed" in table.locator("tbody tr").nth(2).text_content()
    page.locator("#order").select_option("probability")
    figures = [float(one.strip("<> ")) for one in page.locator("#findings .figure").all_text_contents()]
    assert figures == sorted(figures, reverse=True)
    assert rows.nth(0).locator("h3").text_content() != label


def test_similar_films_and_the_viewer_are_shown_where_they_are_given(page: Any, address: str, films: list[str]) -> None:
    def change(said: dict[str, Any]) -> None:
        said |= {"similar": f"/results/{films[0]}/similar", "viewer": "/viewer/a-study"}

    labels: list[dict[str, int | None]] = [{"Pleural_Effusion": 1, "Nodule": 0}, {"Nodule": 0, "Mass": None}, {}]
    pictures = ["/page/icon.svg", None, None]
    like = [
        {"sample_id": f"s{n}", "similarity": 0.999 - n / 10, "labels": said, "picture": picture}
        for n, (said, picture) in enumerate(zip(labels, pictures, strict=True))
    ]
    page.route("**/similar", lambda route: route.fulfill(json={"films": like}))
    planted(page, address, films[0], change)
    open_film(page, films[0])
    page.locator("#similar li").first.wait_for()
    told = page.locator("#similar li").all_text_contents()
    assert [one.partition("Similarity ")[2] for one in told] == ["> 0.99", "0.90", "0.80"]
    assert "Pleural Effusion" in told[0]
    assert "none of its labels present" in told[1]
    assert "labels not known" in told[2]
    assert page.locator("#similar img").count() == 1
    assert page.get_by_role("link", name="Open in OHIF").get_attribute("href") == "/viewer/a-study"
    open_film(page, films[1])
    page.locator("#similar-section").wait_for(state="hidden")
    assert page.get_by_role("link", name="Open in OHIF").count() == 0


def test_a_refused_file_shows_why(page: Any) -> None:
    drop(page, b"this is no film")
    page.locator("#jobs [data-state=refused]").first.wait_for()
    state = page.locator("#state")
    state.get_by_text("was refused").wait_for()
    assert "not DICOM" in state.text_content()
    assert not page.locator("#panels").is_visible()


@pytest.mark.parametrize("status", [429, 503, 0], ids=["too many", "full", "offline"])
def test_what_passes_is_tried_again(
    page: Any, address: str, dicom_films: list[Path], films: list[str], expected_faults: list[str], status: int
) -> None:
    expected_faults.append("Failed to load resource")
    tries: list[int] = []

    def answer(route: Any) -> None:
        tries.append(status)
        if len(tries) > 2:
            route.continue_()
        elif status:
            route.fulfill(status=status, json={"detail": "no room now"}, headers={"Retry-After": "1"})
        else:
            route.abort()

    page.route("**/studies", answer)
    drop(page, dicom_films[0].read_bytes())
    told = page.locator("#uploads li")
    told.get_by_text("Next try in").wait_for()
    assert ("no room now" if status else "cannot be reached") in told.text_content()
    if not status:
        for _ in range(2):  # the browser's return to the network ends the wait
            told.get_by_text("Next try in").wait_for()
            page.evaluate("window.dispatchEvent(new Event('online'))")
            page.wait_for_timeout(300)
    shown(page, films[0])
    assert told.count() == 0
    assert len(tries) == 3


def test_what_is_too_large_is_told_once_and_the_rest_goes_on(
    page: Any, dicom_films: list[Path], films: list[str], expected_faults: list[str]
) -> None:
    expected_faults.append("413")
    tries: list[bytes] = []

    def answer(route: Any) -> None:
        tries.append(route.request.post_data_buffer or b"")
        if len(tries) == 1:
            route.fulfill(status=413, json={"detail": "a request has at most 512 MiB"})
        else:
            route.continue_()

    page.route("**/studies", answer)
    drop(page, b"too large", dicom_films[1].read_bytes())
    shown(page, films[1])
    refused = page.locator("#uploads li.refused")
    assert "Film 1 was not taken. a request has at most 512 MiB" in refused.text_content()
    refused.get_by_role("button").click()
    assert refused.count() == 0
    assert len(tries) == 2
    assert all(b"PLANTED" not in body for body in tries)  # names of files stay here


def test_of_several_films_the_first_is_opened_and_stays(
    page: Any, address: str, dicom_films: list[Path], films: list[str]
) -> None:
    drop(page, *(path.read_bytes() for path in dicom_films[:2]))
    shown(page, films[0])
    page.locator("#uploads li").first.wait_for(state="detached")
    assert page.url.endswith(f"#{films[0]}")
    page.goto(f"{address}/")
    assert page.url == f"{address}/"
    page.goto(f"{address}/#{films[1]}")
    shown(page, films[1])


def test_a_file_that_the_browser_cannot_read_is_not_tried_again(page: Any, tmp_path: Path) -> None:
    chosen = tmp_path / "film.dcm"
    chosen.write_bytes(b"soon gone")
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="Choose films").click()
    page.evaluate("() => { File.prototype.arrayBuffer = () => Promise.reject(new DOMException('gone')); }")
    choosing.value.set_files(chosen)
    page.get_by_text("Film 1 was not taken. The browser cannot read this file.").wait_for()


def test_a_service_that_does_not_answer_is_told_and_asked_ever_less(
    page: Any, films: list[str], expected_faults: list[str]
) -> None:
    expected_faults.append("Failed to load resource")
    page.locator("#jobs li").first.wait_for()
    page.clock.install()
    page.reload()
    page.locator("#jobs li").first.wait_for()
    asked: list[str] = []
    page.route("**/results?limit=50", lambda route: (asked.append(route.request.url), route.abort()))
    for _ in range(60):
        page.clock.run_for(5000)
        page.wait_for_timeout(5)
    assert page.locator("#message").is_visible()
    assert "cannot be reached" in page.locator("#message").text_content()
    assert 3 <= len(asked) <= 12
    page.unroute("**/results?limit=50")
    page.clock.run_for(61_000)
    page.locator("#message").wait_for(state="hidden")


def test_everything_by_keyboard(page: Any, address: str, films: list[str]) -> None:
    planted(page, address, films[0], draft)
    page.locator("#jobs li").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    name = f"{films[0][:4]} {films[0][4:8]}"
    reach(page, lambda: name in page.evaluate("document.activeElement.textContent"))
    page.keyboard.press("Enter")
    shown(page, films[0])
    reach(page, lambda: page.evaluate("document.activeElement.id") == "film")
    ring = "(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.outlineWidth; })()"
    assert page.evaluate(ring) == "solid3px"
    canvas(page)
    fitted = place(page)
    page.keyboard.press("+")
    canvas(page)
    assert place(page)[0] == pytest.approx(fitted[0] * 1.25)
    before = place(page)
    page.keyboard.press("ArrowRight")
    canvas(page)
    assert place(page)[1] - before[1] == 40
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    canvas(page)
    assert window_of(page) == (32768 + 1024, 65536 - 1024)
    page.keyboard.press("i")
    canvas(page)
    assert page.locator("#invert").get_attribute("aria-pressed") == "true"
    page.keyboard.press("r")
    canvas(page)
    assert window_of(page) == (32768, 65536)
    assert place(page) == fitted
    reach(page, lambda: page.evaluate("document.activeElement.id") == "draft-text")
    page.keyboard.press("Control+End")
    page.keyboard.type(" Seen.")
    assert page.locator("#draft-text").input_value().endswith(" Seen.")


def reach(page: Any, there: Callable[[], bool]) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if there():
            return
    raise AssertionError("the keyboard does not come there")


def test_where_a_token_is_asked_for_somebody_signs_in(browser: Any, serve: Callable[..., str]) -> None:
    address = serve(Keeper(TOKEN))
    page = browser.new_page()
    page.goto(address)
    page.get_by_label("Token").wait_for()
    assert not page.locator("#room").is_visible()
    page.get_by_label("Token").fill("not this one, surely")
    page.keyboard.press("Enter")
    page.get_by_text("This is not the token.").wait_for()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#room").wait_for()
    assert TOKEN not in page.url
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    page.close()


def unfolded(page: Any, address: str, job_id: str, width: int, scheme: str) -> None:
    """The film and all that is found of it, at this width."""
    planted(page, address, job_id, draft)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    open_film(page, job_id)
    page.evaluate("() => document.querySelectorAll('details').forEach((part) => { part.open = true; })")


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_it_fits(page: Any, address: str, films: list[str], width: int, scheme: str) -> None:
    unfolded(page, address, films[0], width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(STUCK_OUT) == []
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    notice = page.locator("header .use").bounding_box()
    assert notice["y"] >= 0
    assert notice["x"] + notice["width"] <= width


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_no_serious_fault(
    page: Any, address: str, films: list[str], width: int, scheme: str, serious_faults: Callable[[Any], Any]
) -> None:
    unfolded(page, address, films[0], width, scheme)
    assert serious_faults(page) == []


def test_print_holds_film_findings_draft_and_notice(page: Any, address: str, films: list[str]) -> None:
    planted(page, address, films[0], draft)
    open_film(page, films[0])
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1000})
    for part in ("header .use", "#film", "#findings", "#draft-text", ".unverified"):
        assert page.locator(part).is_visible(), part
        assert page.locator(part).bounding_box()["height"] > 10
    assert not page.locator("#tools").is_visible()
    assert not page.locator(".worklist").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 703


def test_the_page_is_plain_files_without_anything_from_elsewhere(address: str) -> None:
    folder = Path(__file__).parents[3] / "adapters" / "serving" / "page"
    names = sorted(path.name for path in folder.iterdir())
    assert {"index.html", "page.css", "main.js", "icon.svg"} <= set(names)
    for name in names:
        served = requests.get(f"{address}/page/{name}", timeout=60)
        assert served.status_code == 200
        text = served.text.replace("http://www.w3.org/2000/svg", "").replace("https://jfly.uni-koeln.de/color/", "")
        assert not re.search(r"https?://|innerHTML|eval\(|style=|\son\w+=", text), name
        assert name[-3:] != ".js" or max(map(len, text.splitlines())) <= 120, name
