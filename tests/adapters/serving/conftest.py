"""Films as DICOM files, a reading room of tiny adapters over an empty folder, and an HTTP client of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from adapters.reading import Reader
from adapters.results.model import Model
from adapters.serving.access import LOOPBACK, AccessLog, Keeper
from adapters.serving.app import Desk, Gate, create_app
from adapters.serving.service import Service
from raydino.phantom.archive import write_archive


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
