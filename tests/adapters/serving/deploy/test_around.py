"""What stands around a service: systemd's unit, a reverse proxy, a PACS that forwards."""

import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
import typer
from fastapi.testclient import TestClient
from typer.main import get_command

from adapters.serve_command import serve
from adapters.serving.access import Keeper
from adapters.serving.scp import StorageScp
from adapters.serving.service import Service


def test_the_unit_s_command_line(unit: dict[str, list[str]]) -> None:
    program, name, *options = shlex.split(unit["ExecStart"][0])
    assert (program, name) == ("/opt/raydino/bin/raydino", "serve")
    app = typer.Typer()
    app.command()(serve)
    said = get_command(app).make_context("serve", options).params
    assert said["token_file"] is not None
    assert said["tls_cert"] is not None
    home = Path("/var/lib") / unit["StateDirectory"][0]
    assert home in said["folder"].parents
    assert int(unit["TimeoutStopSec"][0]) > 120  # a file may be at work so long


def test_the_command_of_the_readme(root: Path) -> None:
    (line,) = re.findall(r"^\.venv/bin/raydino serve (.*)$", (root / "README.md").read_text("utf-8"), re.MULTILINE)
    app = typer.Typer()
    app.command()(serve)
    said = get_command(app).make_context("serve", shlex.split(line)).params
    assert said["host"] == "127.0.0.1"
    steps = (root / "raydino" / "demo.py").read_text(encoding="utf-8")
    for path in (said["encoder"], said["audit"], *said["adapter"]):
        assert f'"{path.name.removeprefix("adapter-")}' in steps, path


def test_systemd_accepts_the_unit(root: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (root / "docs" / "deploy" / "raydino.service").read_text(encoding="utf-8")
    unit = tmp_path / "raydino.service"
    unit.write_text(text.replace("/opt/raydino/bin/raydino", sys.executable))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert (verified.returncode, "raydino.service" in verified.stderr) == (0, False), verified.stderr
    asked = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)]
    judged = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    if "unrecognized option" in judged.stderr:
        pytest.skip("systemd-analyze is too old to judge a file")
    exposure = re.search(r"exposure level for raydino\.service: ([\d.]+)", judged.stdout)
    assert exposure is not None
    assert float(exposure[1]) <= 2.0


@pytest.fixture
def proxied(root: Path) -> dict[str, str]:
    """The headers that nginx sets for one who logged in as `reader` from 10.0.0.5."""
    text = (root / "docs" / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    known = {"$http_host": "reading.example", "$remote_user": "reader", "$remote_addr": "10.0.0.5", "$scheme": "https"}
    found = dict(re.findall(r"^\s*proxy_set_header ([\w-]+) (\S+);", text, re.MULTILINE))
    return {name: known.get(value, value.strip('"')) for name, value in found.items()}


def test_behind_the_proxy(
    proxied: dict[str, str], open_service: Callable[..., Service], client_of: Callable[..., TestClient], tmp_path: Path
) -> None:
    client = client_of(open_service(), Keeper(proxy_header="x-remote-user"))
    assert client.get("/results", headers={"Host": "reading.example"}).status_code == 401
    assert client.get("/results", headers=proxied).status_code == 200
    assert '"who": "reader"' in (tmp_path / "access.jsonl").read_text()
    from_here = proxied | {"Origin": "https://reading.example", "Sec-Fetch-Site": "same-origin"}
    sent = client.post("/studies", content=b"x", headers=from_here | {"Content-Type": "application/dicom"})
    assert sent.status_code == 202
    elsewhere = from_here | {"Origin": "https://other.example", "Content-Type": "application/dicom"}
    assert client.post("/studies", content=b"y", headers=elsewhere).status_code == 403
    directly = TestClient(client.app, base_url="http://localhost", client=("10.0.0.5", 50000))
    assert directly.get("/results", headers=proxied).status_code == 401


def test_a_pacs_forwards_films_and_nothing_else(
    start_orthanc: Callable[..., Any], dicom_films: list[Path], root: Path
) -> None:
    taken: list[bytes] = []
    scp = StorageScp(taken.append, port=0, callers=["ORTHANC"])
    scp.start()
    try:
        pacs = start_orthanc(
            LuaScripts=[str(root / "docs" / "deploy" / "route.lua")],
            DicomModalities={"raydino": ["RAYDINO", "127.0.0.1", scp.port]},
        )
        pacs.store(dicom_films[:2])
        no_film = pydicom.dcmread(dicom_films[2])
        no_film.Modality = "OT"
        no_film.save_as(root_file := Path(pacs.command[1]).with_name("no-film"))
        pacs.store([root_file])
        end = time.monotonic() + 15
        while len(taken) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)
        assert len(pacs.ask("/instances")) == 3
    finally:
        scp.stop()
    sent = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in dicom_films[:2]}
    arrived = [pydicom.dcmread(pydicom.filebase.DicomBytesIO(content), stop_before_pixels=True) for content in taken]
    assert {film.SOPInstanceUID for film in arrived} == sent
