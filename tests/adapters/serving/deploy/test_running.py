"""A service as docs/deploy.md says to start it: TLS, login, the page's commands, and what lies on the disk."""

import json
import re
import sqlite3
import ssl
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.reading import Reader
from adapters.results.model import Model
from adapters.serving.queue import JobQueue, State
from adapters.serving.service import Service
from raydino.errors import UserError

Block = Callable[[str], str]


@pytest.fixture
def ask(running: Any) -> Callable[..., tuple[int, Any]]:
    """``ask(path, content, **headers)`` with the certificate's own authority: status and body."""
    trusting = ssl.create_default_context(cafile=running.folder / "cert.pem")

    def send(path: str, content: bytes | None = None, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"https://localhost:{running.port}{path}", content, named)
        try:
            with urllib.request.urlopen(request, timeout=20, context=trusting) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    return send


@pytest.fixture
def login(running: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {(running.folder / 'token').read_text().strip()}"}


def test_the_page_s_commands(running: Any, block: Block) -> None:
    """curl with the certificate, once without and once with the token."""
    told = block("/metrics").replace("8443", str(running.port))
    said = subprocess.run(["sh", "-ec", told], cwd=running.folder, check=True, capture_output=True, text=True).stdout
    assert '"status":"ok"' in said
    assert 'raydino_jobs{state="waiting"}' in said
    page = (Path(__file__).parents[4] / "docs" / "deploy.md").read_text()
    for figure in re.findall(r"^\| `(raydino_\w+)", page, re.MULTILINE):
        assert re.search(rf"^# TYPE {figure.removesuffix('_total')}", said, re.MULTILINE), figure


def test_who_comes_without_tls_or_token_gets_nothing(running: Any, ask: Callable[..., Any]) -> None:
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"http://localhost:{running.port}/healthz", timeout=10)
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://localhost:{running.port}/healthz", timeout=10)
    assert ask("/results")[0] == 401
    assert ask("/results", Authorization="Bearer a token of nobody at all")[0] == 401
    assert ask("/results", Host="rebound.example")[0] == 400
    assert ask("/healthz", Host="reading.example.org")[0] == 200


@pytest.mark.parametrize(("version", "is_spoken"), [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_versions_of_tls(version: str, is_spoken: bool, running: Any) -> None:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{running.port}", version, "-brief"]
    tried = subprocess.run(command, input="", capture_output=True, text=True, timeout=20)
    assert (tried.returncode == 0) is is_spoken, tried.stderr


@pytest.fixture
def job(ask: Callable[..., Any], login: dict[str, str], dicom_films: list[Path]) -> dict[str, Any]:
    """A film that was sent and read."""
    content = dicom_films[0].read_bytes()
    status, said = ask("/studies", content, Content_Type="application/dicom", **login)
    assert status == 202
    (job,) = json.loads(said)["jobs"]
    end = time.monotonic() + 30
    while job["state"] in ("waiting", "reading") and time.monotonic() < end:
        time.sleep(0.1)
        job = json.loads(ask(job["url"], **login)[1])
    assert job["state"] == "read"
    return job


def test_a_film_leaves_no_name_and_no_open_file(
    running: Any, job: dict[str, Any], login: dict[str, str], dicom_films: list[Path]
) -> None:
    room = running.folder / "room"
    written = [room, *room.rglob("*")]
    assert len(written) > 8
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in written)

    import pydicom

    header = pydicom.dcmread(dicom_films[0], stop_before_pixels=True)
    told = (room / "access.jsonl").read_text() + (running.folder / "messages").read_text()
    assert job["id"] in told
    secrets = [header.PatientID, str(header.PatientName), header.SOPInstanceUID, header.StudyInstanceUID]
    for secret in (*secrets, login["Authorization"].removeprefix("Bearer "), "token of nobody"):
        assert secret
        assert secret not in told
    process = Path(f"/proc/{running.process.pid}/cmdline")
    if process.exists():
        assert login["Authorization"].removeprefix("Bearer ") not in process.read_text()


def test_a_second_one_over_the_same_folder_is_refused(running: Any, reader: Reader, model: Model) -> None:
    with pytest.raises(UserError, match="another raydino serve works in this folder"):
        Service.open(running.folder / "room", reader, model)


def test_a_backup_goes_on_where_the_queue_was(running: Any, job: dict[str, Any], block: Block, tmp_path: Path) -> None:
    """The page's commands while the service runs, and a queue opened over the copy."""
    with sqlite3.connect(running.folder / "room" / "queue.sqlite") as queue:
        before = queue.execute("SELECT id, state FROM jobs").fetchall()
    commands = block("queue.sqlite")
    (tmp_path / "room").symlink_to(running.folder / "room")
    subprocess.run(["sh", "-ec", commands], cwd=tmp_path, check=True, capture_output=True)
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    copied = JobQueue(tmp_path / "backup" / "queue.sqlite")
    assert sum(copied.counts().values()) == len(before)
    assert job["id"] in dict(before)
    for job_id, state in before:
        kept = copied.get(job_id)
        assert kept is not None
        assert kept.state is State(state)
        assert (tmp_path / "backup" / "films" / f"{job_id}.dcm").exists()
        assert (tmp_path / "backup" / "results" / str(kept.result)).is_dir()
    copied.close()
