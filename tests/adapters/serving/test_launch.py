"""``raydino serve`` from its options: what does not fit is one line, and nothing is served before all of it does."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.serving.launch import Settings, launch
from adapters.serving.queue import State
from adapters.serving.service import Service, sweep
from raydino.errors import UserError

Make = Callable[..., Settings]


@pytest.fixture
def settings(reading_encoder: Path, bundles: dict[str, Path], tmp_path: Path) -> Make:
    def make(**changes: Any) -> Settings:
        given = {"encoder": reading_encoder, "adapters": (bundles["classification"],), "folder": tmp_path / "room"}
        return Settings(**{**given, "port": 0, "device": "cpu", **changes})

    return make


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("a-token-of-many-letters\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"host": "0.0.0.0"}, "others on the network could read films without a login"),
        ({"watch": True}, "--watch needs --pacs"),
        ({"pacs": "ftp://pacs"}, "is no address of a PACS"),
        ({"pacs": "dimse://PACS@localhost:104", "viewer": Path("ohif")}, "the viewer reads from a PACS by DICOMweb"),
        ({"dicom_port": 0, "dicom_host": "0.0.0.0"}, "DICOM has no login"),
        ({"dicom_port": 0, "aet": "A\\B"}, "is no AE title"),
        ({"tls_cert": Path("cert.pem")}, "belong together"),
        ({"data": Path("dataset")}, "--data is the dataset of --features"),
        ({"adapters": (Path("nowhere"),)}, "nowhere"),
        ({"audit": Path("nowhere")}, "nowhere"),
        ({"token_file": Path("nowhere")}, "the token cannot be read"),
    ],
)
def test_what_does_not_fit_is_one_line(settings: Make, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        launch(settings(**changes))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_token_that_others_can_read_or_guess_is_refused(settings: Make, token: Path) -> None:
    token.chmod(0o644)
    with pytest.raises(UserError, match="others on this machine can read the token"):
        launch(settings(token_file=token))
    token.chmod(0o600)
    token.write_text("short")
    with pytest.raises(UserError, match="at least 16"):
        launch(settings(token_file=token))
    with pytest.raises(UserError, match="two ways to log in"):
        launch(settings(token_file=token, proxy_user="X-User"))


def test_a_port_or_a_folder_in_use_is_told(settings: Make, open_service: Callable[..., Service]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="cannot listen there"):
        launch(settings(port=taken.getsockname()[1]))
    service = open_service()
    with pytest.raises(UserError, match="another raydino serve works in this folder"):
        launch(settings(folder=service.folder))
    (service.folder / "file").touch()
    with pytest.raises(UserError, match="the folder cannot be used"):
        launch(settings(folder=service.folder / "file"))


def test_old_films_and_results_go_and_what_is_still_needed_stays(open_service: Callable[..., Service]) -> None:
    service = open_service()
    jobs = [service.intake.receive(name.encode()) for name in ("read", "shared", "undelivered", "waiting")]
    for job, result, deliver in zip(jobs, ("r1", "r2", "r3"), (False, False, True), strict=False):
        (service.room.results / result).mkdir()
        service.queue.finish(job.id, State.READ, result=result, deliver=deliver)
    later = datetime.now(UTC) + timedelta(days=31)

    def swept(keep_days: float) -> list[str]:
        gone = sweep(service.queue, service.intake.path, service.room.results, keep_days, now=lambda: later)
        return [job.id for job in gone]

    assert swept(60.0) == []
    service.queue.finish(jobs[1].id, State.READ, result="r3")  # as the undelivered one's, from another file
    assert swept(30.0) == [jobs[0].id, jobs[1].id]
    assert {path.name for path in service.room.results.iterdir()} == {"r2", "r3"}
    assert [service.intake.path(job.id).exists() for job in jobs] == [False, False, True, True]
    assert [job.id for job in service.queue.newest(9)] == [jobs[3].id, jobs[2].id]
