"""Broken, strange and hostile files, sent to a service at work: each fails alone, in one line that quotes nothing.

The files are those of ``benchmarks/serve_fuzz.py``, which goes on for minutes.
"""

import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from adapters.serving.queue import State
from adapters.serving.service import Service

FILES = 90
SHARED = Path("/work/shared/data/dicom")
MOST_MIB = 400  # by which this process may grow; the service holds a film at a time


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "serve_fuzz.py"
    spec = importlib.util.spec_from_file_location("serve_fuzz", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def ended(service: Service, job_id: str, seconds: float = 120.0) -> State:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = service.queue.get(job_id).state
        if state not in (State.WAITING, State.READING):
            return state
        time.sleep(0.02)
    raise AssertionError("a job hangs")


def test_no_file_gets_past_its_own_job(
    fuzz: ModuleType,
    open_service: Callable[..., Service],
    client_of: Callable[..., TestClient],
    dicom_films: list[Path],
) -> None:
    service = open_service(file_processes=2)
    service.room.seconds = 10.0  # for one file, of those that take without end
    service.start()
    client = client_of(service, per_second=1e6, burst=1e6)
    films = tuple(fuzz.dressed(path.read_bytes()) for path in dicom_films[:4])
    sent: dict[str, tuple[str, bytes]] = {}
    before = resident_mib()
    for name, content in fuzz.mutants((*films * 4, *fuzz.pydicom_films()[::4]), seed=7):
        if len(sent) == FILES:
            break
        answer = client.post("/studies", content=content, headers={"Content-Type": "application/dicom"})
        assert answer.status_code == 202, name
        sent[answer.json()["jobs"][0]["id"]] = (name, content)
    states = []
    for job_id, (name, _) in sent.items():
        states.append(ended(service, job_id))
        answer = client.get(f"/results/{job_id}")
        assert answer.status_code == 200, name
        job = answer.json()
        assert fuzz.fault_of(job) is None, (name, job["reason"])
        for path in filter(None, ((job["film"] or {}).get("url"), job["attention"])):
            assert client.get(path).status_code == 200, name
    assert set(states) >= {State.READ, State.REFUSED}
    assert resident_mib() - before < MOST_MIB
    good = service.intake.receive(dicom_films[5].read_bytes())
    assert ended(service, good.id) is State.READ
    assert len(multiprocessing.active_children()) <= 4


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real films are not here")
def test_real_films_are_read(open_service: Callable[..., Service]) -> None:
    service = open_service()
    service.start()
    jobs = {path.name: service.intake.receive(path.read_bytes()) for path in sorted(SHARED.glob("nih_dx_[12].dcm"))}
    assert {name: ended(service, job.id) for name, job in jobs.items()} == dict.fromkeys(jobs, State.READ)
