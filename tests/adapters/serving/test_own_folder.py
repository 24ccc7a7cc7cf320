"""The service's folder is its owner's alone, and a certificate that is none is told before anything is served."""

import os
import re
import stat
from pathlib import Path

import pytest

from adapters.serving.launch import Settings, _keeper
from adapters.serving.service import take_folder
from raydino.errors import UserError


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    return {"encoder": tmp_path, "adapters": (), "folder": tmp_path / "a" / "room"}


def test_it_is_made_for_its_owner(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        take_folder(tmp_path / "a" / "room")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a" / "room").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702])
def test_others_could_plant_films(mode: int, tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room").chmod(mode)
    with pytest.raises(UserError, match="others on this machine can write"):
        take_folder(tmp_path / "room")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir(mode=0o755)
    os.chown(tmp_path / "room", 12345, 12345)
    with pytest.raises(UserError, match="others on this machine can write"):
        take_folder(tmp_path / "room")


def test_no_folder_at_all(tmp_path: Path) -> None:
    (tmp_path / "room").write_text("a file")
    for taken in (tmp_path / "room", tmp_path / "room" / "below"):
        with pytest.raises(UserError, match="the folder cannot be used"):
            take_folder(taken)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_is_none(content: str | None, settings: dict[str, object], tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    if content:
        cert.write_text(content)
        key.write_text(content)
    with pytest.raises(UserError, match="the certificate cannot be used") as told:
        _keeper(Settings(**settings, tls_cert=cert, tls_key=key))  # type: ignore[arg-type]
    assert re.search(r"No such file|no PEM", str(told.value))
    assert not Path(str(settings["folder"])).exists()
