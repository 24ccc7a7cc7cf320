"""What the OpenAPI document promises, the service keeps, whatever is asked: schemathesis asks."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from adapters.reading import Reader
from adapters.serving.access import AccessLog, Keeper
from adapters.serving.app import create_app
from adapters.serving.desk import Desk, Gate
from adapters.serving.limits import Rate
from adapters.serving.queue import State
from adapters.serving.service import Service

TOKEN = "a-token-of-enough-characters"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
QUICKLY = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def app(
    reader: Reader, model: Any, dicom_films: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FastAPI]:
    """Of a service with a token that has read a film and goes on."""
    folder = tmp_path_factory.mktemp("room")
    service = Service.open(folder / "room", reader, model, file_processes=1)
    keeper = Keeper(TOKEN, strangers=Rate(per_second=1e6, burst=1e6))
    gate = Gate(keeper, AccessLog(folder / "access.jsonl"), ("testserver",), per_second=1e6, burst=1e6)
    app = create_app(Desk(service.queue, service.intake, service.looking, service.monitoring, gate))
    service.start()
    app.state.read = service.intake.receive(dicom_films[0].read_bytes()).id
    while service.queue.get(app.state.read).state is not State.READ:
        time.sleep(0.02)
    yield app
    service.stop()


@pytest.fixture(scope="module")
def api(app: FastAPI) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=HEADERS)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_answers_are_those_of_the_document(api: Any, app: FastAPI, mode: GenerationMode) -> None:
    """No 5xx, statuses and shapes as documented, 401 without a login; also of a result that is there."""
    for found in api.get_all_operations():
        operation = found.ok()

        @given(operation.as_strategy(generation_mode=mode))
        @QUICKLY
        def ask(case: Any) -> None:
            case.call_and_validate(headers=HEADERS)
            if mode is GenerationMode.POSITIVE and "job_id" in case.path_parameters:
                case.path_parameters["job_id"] = app.state.read
                case.call_and_validate(headers=HEADERS)

        try:
            ask()
        except Unsatisfiable:  # nothing about it can be wrong
            assert mode is GenerationMode.NEGATIVE


def test_the_document_speaks_of_every_route(app: FastAPI) -> None:
    document = app.openapi()
    below = (
        "",
        "/film",
        "/masks/{number}.png",
        "/attention.png",
        "/similar",
        "/segmentation.dcm",
        "/report.dcm",
        "/report.pdf",
        "/viewer",
    )
    results = {f"/results/{{job_id}}{part}" for part in below}
    others = {"/studies", "/results", "/similar/{sample_id}.png", "/login", "/logout", "/healthz", "/metrics"}
    assert set(document["paths"]) == results | others
    open_ones = {path for path, said in document["paths"].items() if "security" not in next(iter(said.values()))}
    assert open_ones == {"/login", "/healthz"}
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}
    for said in document["paths"].values():
        for operation in said.values():
            assert operation["description"]
            assert {"400", "401", "413", "429"} <= set(operation["responses"])
