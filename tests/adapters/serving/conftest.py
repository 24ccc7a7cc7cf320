"""Films, a reading room of tiny adapters and an HTTP client of it; ``raydino serve`` as a process; OHIF."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from fastapi.testclient import TestClient

from adapters.reading import Reader
from adapters.results.model import Model
from adapters.serving.access import LOOPBACK, AccessLog, Keeper
from adapters.serving.app import create_app
from adapters.serving.desk import Desk, Gate
from adapters.serving.ohif_install import default_folder, install, installed
from adapters.serving.service import Service
from raydino.errors import UserError
from raydino.phantom.archive import write_archive


@dataclass(frozen=True)
class Serving:
    """``raydino serve`` as a process, the port of its SCP and the address of its page."""

    process: subprocess.Popen[bytes]
    dicom_port: int
    address: str


@pytest.fixture(scope="session")
def dicom_films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of a synthetic archive that ingest would take."""
    made = tmp_path_factory.mktemp("films") / "synthetic"
    write_archive(made, patients=4, seed=3)
    archive = made / "archive"
    broken = {archive / one["file"] for one in json.loads((made / "truth.json").read_text())["corrupt_files"]}
    return sorted(path for path in archive.rglob("*") if path.is_file() and path not in broken)


@pytest.fixture(scope="session")
def reader(reading_encoder: Path, bundles: dict[str, Path]) -> Reader:
    return Reader.load(reading_encoder, list(bundles.values()), device="cpu")


@pytest.fixture(scope="session")
def model(reader: Reader, bundles: dict[str, Path]) -> Model:
    return Model.of(reader.encoder.spec, list(bundles.values()))


@pytest.fixture
def open_service(reader: Reader, model: Model, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """``open_service(**options)``: over a folder of this test, not started; stopped at its end."""
    opened: list[Service] = []

    def make(folder: Path = tmp_path / "room", **options: Any) -> Service:
        opened.append(Service.open(folder, reader, model, **{"file_processes": 1, **options}))
        return opened[-1]

    yield make
    for service in opened:
        service.stop()


@pytest.fixture
def client_of(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """``client_of(service, keeper, **options of the gate)``."""

    def make(service: Service, keeper: Keeper | None = None, **options: Any) -> TestClient:
        log = AccessLog(tmp_path / "access.jsonl")
        gate = Gate(keeper or Keeper(), log, (*LOOPBACK, "reading.example"), **options)
        desk = Desk(service.queue, service.intake, service.looking, service.monitoring, gate)
        return TestClient(create_app(desk), base_url="http://localhost", client=("127.0.0.1", 50000))

    return make


@pytest.fixture
def start_serving(reading_encoder: Path, bundles: dict[str, Path]) -> Iterator[Callable[..., Serving]]:
    """``start(folder, *options)``: ``raydino serve`` once it serves; killed at the end of the test."""
    running = []

    def start(folder: Path, *options: str) -> Serving:
        adapters = [word for path in bundles.values() for word in ("--adapter", str(path))]
        command = ["serve", "--encoder", str(reading_encoder), *adapters, "--folder", str(folder), "--device", "cpu"]
        path = folder.parent / f"{folder.name}.log"
        with path.open("ab") as log:
            begin = log.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "raydino", *command, "--port", "0", "--dicom-port", "0", *options],
                stdout=log,
                stderr=log,
            )
        running.append(process)
        for _ in range(1200):
            said = path.read_text()[begin:]
            if found := re.search(r"C-STORE to RAYDINO at 127\.0\.0\.1:(\d+)\n(http://[0-9.:]+) ", said):
                return Serving(process, int(found[1]), found[2])
            assert process.poll() is None, said
            time.sleep(0.1)
        raise AssertionError("raydino serve did not start")

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def ohif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installed OHIF: RAYDINO_OHIF names the archive that ``npm pack @ohif/app`` makes."""
    archive = os.environ.get("RAYDINO_OHIF")
    if archive:
        return install(Path(archive).read_bytes(), tmp_path_factory.mktemp("ohif") / "ohif").folder
    try:
        return installed(default_folder()).folder
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture
def coloured() -> Callable[[Any], npt.NDArray[np.bool_]]:
    """Where a page of OHIF's is red, and where green: nothing of its own is either, the first two segments are."""

    def look(page: Any) -> npt.NDArray[np.bool_]:
        png = page.screenshot()
        blue, green, red = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).astype(int).transpose(2, 0, 1)
        return np.stack([red - np.maximum(green, blue) > 40, green - np.maximum(red, blue) > 40])

    return look
