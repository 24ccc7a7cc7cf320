"""What every route answers: the bytes that display, results and audit make, and one line for everything else."""

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from fastapi.testclient import TestClient

from adapters.reading import Reader
from adapters.results.frame import NOTICE
from adapters.serving import display
from adapters.serving.access import LOOPBACK, AccessLog, Keeper
from adapters.serving.app import create_app
from adapters.serving.desk import Desk, Gate
from adapters.serving.peers import METRICS, Peers
from adapters.serving.queue import State
from adapters.serving.service import Service, sweep
from adapters.serving.similar import SimilarFilms
from raydino.artifacts.audit import AUDIT, STRATA
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.data.film_source import source_of_film
from raydino.data.one_film import film_of_dicom

DICOM = {"Content-Type": "application/dicom"}
_NO_FILE = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nv\r\n--x--\r\n'


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory, reader: Reader) -> Peers:
    """Of everyone and of both sexes, for the first label that the reader speaks of."""
    import pandas as pd

    (label, *_) = next(adapter.labels for adapter in reader.adapters if adapter.task == "classification")
    rows = [
        (axis, stratum, label, metric, 50, 40, 20, 15, 3, 0.8, 0.7, 0.9, "ok", None)
        for axis, stratum in (("all", "all"), ("sex", "F"), ("sex", "M"))
        for metric in METRICS
    ]
    frame = pd.DataFrame(rows, columns=[column.name for column in STRATA.columns])
    path = tmp_path_factory.mktemp("audited") / "audit"
    config = {"axes": ["sex"], "recipe": {"age_edges_years": [40.0]}}
    with creating(path, AUDIT, config=config, inputs={"predictions": "0" * 64}) as directory:
        STRATA.write(frame, directory / "strata.parquet")
    return Peers.open(path, [label], ["a" * 64])


@pytest.fixture(scope="module")
def similar(reader: Reader, dataset: Dataset) -> SimilarFilms:
    """With class tokens at random."""
    sample_ids = tuple(dataset.sample_ids())
    tokens = np.random.default_rng(0).normal(size=(len(sample_ids), reader.encoder.spec.embed_dim)).astype(np.float32)
    return SimilarFilms(sample_ids, tokens, np.linalg.norm(tokens, axis=1), (-1,), None, dataset)


@pytest.fixture(scope="module")
def running(
    reader: Reader, model: Any, audit: Peers, similar: SimilarFilms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, TestClient]]:
    """A service with everything, at work, and a client of it."""
    folder = tmp_path_factory.mktemp("room")
    service = Service.open(folder / "room", reader, model, audit=audit, similar=similar, file_processes=1)
    gate = Gate(Keeper(), AccessLog(folder / "access.jsonl"), LOOPBACK, per_second=1e6, burst=1e6)
    viewer = "/viewer/?StudyInstanceUIDs={}".format
    desk = Desk(service.queue, service.intake, service.looking, service.monitoring, gate, viewer)
    service.start()
    yield service, TestClient(create_app(desk), base_url="http://localhost", client=("127.0.0.1", 50000))
    service.stop()


def ended(client: TestClient, url: str) -> dict[str, Any]:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        said = client.get(url).json()
        if said["state"] not in ("waiting", "reading"):
            return said
        time.sleep(0.05)
    raise AssertionError(f"still {said['state']}")


@pytest.fixture(scope="module")
def result(running: tuple[Service, TestClient], dicom_films: list[Path]) -> dict[str, Any]:
    """Of the first film, sent as a form."""
    client = running[1]
    sent = client.post("/studies", files={"files": ("film.dcm", dicom_films[0].read_bytes(), "application/dicom")})
    assert sent.status_code == 202
    (job,) = sent.json()["jobs"]
    assert set(job) == {"id", "state", "reason", "received", "delivery", "url"}
    assert job["url"] == f"/results/{job['id']}"
    return ended(client, job["url"])


def test_a_result_says_everything(result: dict[str, Any], reader: Reader, dicom_films: list[Path]) -> None:
    url = result["url"]
    header = pydicom.dcmread(dicom_films[0], stop_before_pixels=True)
    assert (result["state"], result["reason"], result["delivery"]) == ("read", None, "none")
    reading = reader.read(dicom_films[0])
    said = result["reading"]
    assert said["notice"] == NOTICE
    assert said["film"]["sop_instance_uid"] == header.SOPInstanceUID
    assert {label: one["probability"] for label, one in said["findings"].items()} == {
        label: one.probability for label, one in reading.findings.items()
    }
    assert (said["draft"] or {"text": ""})["text"] == (reading.report or "")
    assert "files" not in said
    assert [mask["structure"] for mask in result["masks"]] == list(reading.masks)
    assert result["attention"] == f"{url}/attention.png"
    assert result["similar"] == f"{url}/similar"
    assert result["viewer"] == f"{url}/viewer"
    (peers,) = result["peers"].values()
    strata = ["all", header.PatientSex] if header.PatientSex in ("F", "M") else ["all"]
    assert [peer["stratum"] for peer in peers] == [one for one in strata for _ in METRICS]
    assert (peers[0]["estimate"], peers[0]["ci_low"], peers[0]["n_patients"]) == (0.8, 0.7, 40)
    assert str(header.PatientID) not in json.dumps(result)


def test_the_viewer_s_address_alone_holds_the_study(
    running: tuple[Service, TestClient], result: dict[str, Any], dicom_films: list[Path]
) -> None:
    study = pydicom.dcmread(dicom_films[0], stop_before_pixels=True).StudyInstanceUID
    shown = running[1].get(result["viewer"], follow_redirects=False)
    assert (shown.status_code, shown.headers["location"]) == (307, f"/viewer/?StudyInstanceUIDs={study}")


def test_the_film_is_the_display_s(
    running: tuple[Service, TestClient], result: dict[str, Any], reader: Reader, dicom_films: list[Path]
) -> None:
    answer = running[1].get(result["film"]["url"])
    assert answer.headers["content-type"] == "application/octet-stream"
    film = display.display_film(dicom_films[0], pixels=reader.encoder.spec.pixels)
    assert (result["film"]["rows"], result["film"]["cols"], result["film"]["bits"]) == (*film.shape, 16)
    assert answer.content == film.astype("<u2").tobytes()


def test_masks_and_attention_have_the_film_s_size(
    running: tuple[Service, TestClient], result: dict[str, Any], reader: Reader, dicom_films: list[Path]
) -> None:
    client = running[1]
    film = display.display_film(dicom_films[0], pixels=reader.encoder.spec.pixels)
    segmentation = client.get(result["files"]["segmentation"]).content
    way = source_of_film(dicom_films[0], film_of_dicom(dicom_films[0], reader.encoder.spec.pixels))
    stored = display.stored_masks(pydicom.dcmread(BytesIO(segmentation)))
    assert {name: mask.shape for name, mask in stored.items()} == dict.fromkeys(stored, (way.rows, way.cols))
    for said in result["masks"]:
        answer = client.get(said["url"])
        assert answer.headers["content-type"] == "image/png"
        mask = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert mask.shape == film.shape
        assert set(np.unique(mask)) <= {0, 255}
    attention = cv2.imdecode(np.frombuffer(client.get(result["attention"]).content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert attention.shape == (*film.shape, 4)
    assert client.get(result["attention"]).content == display.attention_png(reader.encoder, film)
    for number in (0, len(result["masks"]) + 1, 1001, "x"):
        assert client.get(f"{result['url']}/masks/{number}.png").status_code in (404, 422)


def test_downloads_are_the_files_of_the_result(running: tuple[Service, TestClient], result: dict[str, Any]) -> None:
    service, client = running
    job = service.queue.get(result["id"])
    folder = service.room.results / job.result
    for kind, suffix in (("segmentation", ".seg.dcm"), ("report", ".sr.dcm")):
        answer = client.get(result["files"][kind])
        assert answer.content == (folder / f"{job.result}{suffix}").read_bytes()
        assert answer.headers["content-type"] == "application/dicom"
        assert answer.headers["content-disposition"] == f'attachment; filename="{job.result}{suffix}"'
    document = client.get(result["files"]["document"])
    assert document.headers["content-type"] == "application/pdf"
    assert document.content.startswith(b"%PDF-")
    assert document.content.rstrip().endswith(b"%%EOF")


def test_similar_films_and_their_pictures(
    running: tuple[Service, TestClient], result: dict[str, Any], similar: SimilarFilms, dataset: Dataset
) -> None:
    client = running[1]
    films = client.get(result["similar"]).json()["films"]
    cosines = [film["similarity"] for film in films]
    assert cosines == sorted(cosines, reverse=True)
    assert -1 <= cosines[-1] <= cosines[0] <= 1
    assert films[0]["picture"] == f"/similar/{films[0]['sample_id']}.png"
    known = dataset.labels.loc[films[0]["sample_id"]]
    assert films[0]["labels"] == {name: None if np.isnan(known[name]) else known[name] for name in films[0]["labels"]}
    assert client.get(films[0]["picture"]).content == similar.picture(films[0]["sample_id"])
    assert client.get("/similar/nobody.png").json() == {"detail": "no such film"}
    assert client.get("/similar/a.b.png").status_code == 422


def test_the_same_file_twice_is_one_job_whichever_way_it_comes(
    running: tuple[Service, TestClient], result: dict[str, Any], dicom_films: list[Path]
) -> None:
    client = running[1]
    content = dicom_films[0].read_bytes()
    bare = client.post("/studies", content=content, headers={"Content-Type": "application/DICOM; x=y"})
    files = [("files", ("a", content)), ("files", ("b", content)), ("other", ("c", b"not taken"))]
    form = client.post("/studies", files=files)
    jobs = [*bare.json()["jobs"], *form.json()["jobs"]]
    assert [job["id"] for job in jobs] == [result["id"]] * 3
    assert jobs[0]["state"] == "read"


def test_a_refused_file_has_a_reason_and_no_result(running: tuple[Service, TestClient]) -> None:
    client = running[1]
    files = [("files", ("a", b"nothing like DICOM")), ("files", ("b", b""))]
    job, empty_one = client.post("/studies", files=files).json()["jobs"]
    assert ended(client, empty_one["url"])["state"] == "refused"
    said = ended(client, job["url"])
    assert said["state"] == "refused"
    assert said["reason"]
    empty = {"reading": None, "film": None, "masks": [], "attention": None, "files": None, "peers": {}, "similar": None}
    assert {key: said[key] for key in empty} == empty
    for below in ("film", "masks/1.png", "attention.png", "similar", "segmentation.dcm", "report.dcm", "report.pdf"):
        answer = client.get(f"{job['url']}/{below}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "there is no result: the job is refused"})


def test_newest_first(running: tuple[Service, TestClient], result: dict[str, Any]) -> None:
    client = running[1]
    first = client.post("/studies", content=b"one", headers=DICOM).json()["jobs"][0]["id"]
    second = client.post("/studies", content=b"two", headers=DICOM).json()["jobs"][0]["id"]
    assert [job["id"] for job in client.get("/results?limit=2").json()["jobs"]] == [second, first]
    for limit in (0, 1001, "x", -1, "9" * 5000):
        answer = client.get(f"/results?limit={limit}")
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("query.limit: ")
        assert "\n" not in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("f" * 32, 404),
        ("f" * 31, 422),
        ("F" * 32, 422),
        ("..%2f..%2fqueue.sqlite", 404),
        ("%00", 422),
        ("x" * 5000, 422),
    ],
)
def test_results_that_are_not_there(running: tuple[Service, TestClient], path: str, status: int) -> None:
    answer = running[1].get(f"/results/{path}")
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert len(answer.json()["detail"]) < 200


@pytest.mark.parametrize(
    ("kind", "content", "status", "detail"),
    [
        ("application/json", b"{}", 415, "send application/dicom"),
        ("", b"x", 415, "send application/dicom"),
        ("multipart/form-data", b"x", 400, "boundary"),
        ("multipart/form-data; boundary=x", b"garbage", 400, ""),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 400, "no file"),
        ("multipart/form-data; boundary=x", _NO_FILE, 400, "no file"),
    ],
)  # fmt: skip
def test_uploads_that_are_none(
    running: tuple[Service, TestClient], kind: str, content: bytes, status: int, detail: str
) -> None:
    answer = running[1].post("/studies", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


def test_a_film_that_cannot_be_drawn_is_a_conflict(
    running: tuple[Service, TestClient], dicom_films: list[Path]
) -> None:
    """Its file is gone; what was found is there all the same."""
    service, client = running
    (job,) = client.post("/studies", content=dicom_films[1].read_bytes(), headers=DICOM).json()["jobs"]
    while service.queue.get(job["id"]).state is not State.READ:
        time.sleep(0.02)
    service.intake.path(job["id"]).unlink()
    said = client.get(job["url"]).json()
    assert (said["state"], said["film"]) == ("read", None)
    assert said["reason"].startswith("the film cannot be shown")
    assert said["reading"]["findings"]
    for below in ("film", "masks/1.png", "attention.png", "similar"):
        answer = client.get(f"{job['url']}/{below}")
        assert answer.status_code == 409
        assert str(service.folder) not in answer.text
    assert client.get(said["files"]["report"]).status_code == 200


def test_a_full_disk_is_no_fault_of_the_service_when_somebody_looks(
    running: tuple[Service, TestClient], dicom_films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, client = running
    (job,) = client.post("/studies", content=dicom_films[0].read_bytes(), headers=DICOM).json()["jobs"]
    while service.queue.get(job["id"]).state is not State.READ:
        time.sleep(0.02)
    page = service.looking.folder(service.queue.get(job["id"]))
    (page / "attention.png").unlink(missing_ok=True)

    def full(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        answer = client.get(f"{job['url']}/attention.png")
    assert answer.status_code == 409
    assert "cannot be written (No space left on device)" in answer.json()["detail"]
    assert not [path for path in page.iterdir() if path.name.startswith(".attention")]
    assert client.get(f"{job['url']}/attention.png").status_code == 200


def test_the_page_health_and_figures(running: tuple[Service, TestClient], result: dict[str, Any]) -> None:
    service, client = running
    assert "text/html" in client.get("/").headers["content-type"]
    assert client.get("/favicon.ico", follow_redirects=False).headers["location"] == "/page/icon.svg"
    assert client.get("/page/nothing.js").status_code == 404
    health = client.get("/healthz").json()
    assert (health["status"], health["notice"]) == ("ok", NOTICE)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    counts = service.queue.counts()
    assert {state: float(lines[f'raydino_jobs{{state="{state.value}"}}']) for state in State} == counts
    assert float(lines['raydino_job_seconds_count{state="read"}']) == counts[State.READ]
    assert float(lines["raydino_undelivered"]) == 0
    assert float(lines['raydino_http_requests_total{method="POST",route="/studies",status="202"}']) >= 2
    assert "/results/{job_id}" in answer.text
    assert result["id"] not in answer.text


def test_old_films_and_results_go(open_service: Callable[..., Service], dicom_films: list[Path]) -> None:
    service = open_service()
    contents = [dicom_films[0].read_bytes(), dicom_films[0].read_bytes() + b"\0" * 8, b"refused", b"waits for the PACS"]
    jobs = [service.intake.receive(content) for content in contents]
    for job, state in zip(jobs, (State.READ, State.READ, State.REFUSED, State.READ), strict=True):
        shared = "0" * 16 if job in jobs[:2] else job.id[:16]
        service.queue.finish(job.id, state, result=shared if state is State.READ else None, deliver=job is jobs[3])
        (service.room.results / shared).mkdir(exist_ok=True)
        (service.room.results / shared / "kept").touch()
    service.intake.receive(b"still waits")

    def in_days(days: float) -> list[str]:
        swept = sweep(
            service.queue, service.intake.path, service.room.results, 30, lambda: datetime.now(UTC) + timedelta(days)
        )
        return [job.id for job in swept]

    assert in_days(29) == []
    assert in_days(31) == [job.id for job in jobs[:3]]
    assert not service.intake.path(jobs[0].id).exists()
    assert not (service.room.results / ("0" * 16)).exists()
    assert (service.room.results / jobs[3].id[:16] / "kept").exists()
    assert service.intake.path(jobs[3].id).exists()
    assert sum(service.queue.counts().values()) == 2
    service.queue.delivered(jobs[3].id)
    assert in_days(31) == [jobs[3].id]
    again = service.intake.receive(contents[0])  # the same film is a new job
    assert again.state is State.WAITING


def test_a_result_stays_while_a_newer_job_has_it(open_service: Callable[..., Service]) -> None:
    service = open_service()
    old, new = service.intake.receive(b"old"), service.intake.receive(b"new")
    for job in (old, new):
        service.queue.finish(job.id, State.READ, result="0" * 16)
    (service.room.results / ("0" * 16)).mkdir()
    service.queue._connection.execute("UPDATE jobs SET received = '2000-01-01' WHERE id = ?", (old.id,))
    assert [job.id for job in sweep(service.queue, service.intake.path, service.room.results, 30)] == [old.id]
    assert (service.room.results / ("0" * 16)).exists()
