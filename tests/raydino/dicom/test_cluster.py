"""A real scheduler and two real worker processes on this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from raydino.artifacts.header import fingerprint
from raydino.dicom import cluster
from raydino.dicom.cluster import cluster_map, require_address
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe
from raydino.errors import UserError
from raydino.processes import WorkerFailed

pytest.importorskip("distributed", reason="the extra dask is not installed")


class Started:
    """A scheduler and its workers."""

    def __init__(self) -> None:
        words = ["dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.scheduler = self._start(*words, stderr=subprocess.PIPE)
        assert self.scheduler.stderr is not None
        line = next(line for line in self.scheduler.stderr if "Scheduler at:" in line)
        self.address = line.split()[-1].replace("tcp", "dask")
        self._drain = threading.Thread(target=self.scheduler.stderr.read, daemon=True)
        self._drain.start()
        # with its nanny, as a rule, a worker is a daemon
        self.workers = [self.add_worker("--no-nanny"), self.add_worker()]

    def add_worker(self, *options: str) -> subprocess.Popen[str]:
        words = ("dask_worker", self.address.replace("dask", "tcp"), "--nthreads", "1", "--no-dashboard", *options)
        return self._start(*words, stderr=subprocess.DEVNULL)

    def _start(self, program: str, *words: str, stderr: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *words]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, text=True)

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def dask() -> Iterator[Started]:
    started = Started()
    yield started
    started.stop()


def run(
    address: str, function: Any, jobs: list[Any], timeout_seconds: float = 20.0, needed: tuple[Path, ...] = ()
) -> Any:
    return list(
        cluster_map(function, jobs, address=address, needed=needed, timeout_seconds=timeout_seconds, prepare=int)
    )


def test_every_job_comes_back_once(dask: Started) -> None:
    jobs = list(range(-300, 0))
    assert sorted(run(dask.address, abs, jobs)) == [(n, -n) for n in jobs]
    assert run(dask.address, abs, []) == []


def test_few_jobs_are_taken_ahead(dask: Started) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    stream = cluster_map(abs, jobs(), address=dask.address, needed=(), timeout_seconds=20.0, prepare=int)
    for done in range(1, 200):
        next(stream)
        assert len(taken) <= done + cluster.BATCH * (2 * cluster.BATCHES_A_THREAD + 1)
    stream.close()  # type: ignore[attr-defined]


def test_crashes_and_hangs_take_only_their_own_job_along(dask: Started) -> None:
    outcomes = run(dask.address, os._exit, [0, 1])
    assert [str(result) for _, result in outcomes] == ["the process that decoded it died"] * 2
    outcomes = run(dask.address, time.sleep, [0.0, 60.0, 0.01], timeout_seconds=1.0)
    assert [(job, isinstance(result, WorkerFailed)) for job, result in outcomes] == [
        (0.0, False),
        (60.0, True),
        (0.01, False),
    ]


def test_the_dataset_is_that_of_one_process(
    dask: Started, tmp_path: Path, write_dicom: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the workers run elsewhere
    for index in range(40):
        write_dicom(tmp_path / "archive" / f"{index}.dcm", PatientID=f"P{index // 3}")
    (tmp_path / "archive" / "notes.txt").write_text("no film")
    (tmp_path / "key").write_text("00112233445566778899aabbccddeeff" * 2)
    for name, on in (("local", None), ("dask", dask.address)):
        options = IngestOptions(PixelRecipe(16), key=tmp_path / "key", on=on)
        summary = ingest("archive", tmp_path / name, options)
        assert (summary.accepted, summary.rejected) == (40, {"not_dicom": 1})
    assert fingerprint(tmp_path / "local") == fingerprint(tmp_path / "dask")


def test_what_a_worker_lost_another_one_does(dask: Started) -> None:
    lost = dask.workers.pop(0)
    threading.Timer(0.5, partial(lost.send_signal, signal.SIGKILL)).start()
    outcomes = run(dask.address, time.sleep, [0.02] * 120)
    assert lost.wait() == -signal.SIGKILL
    assert [result for _, result in outcomes] == [None] * 120
    dask.workers.append(dask.add_worker("--no-nanny"))


def test_a_worker_that_does_not_fit_ends_it_with_one_line(dask: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="a worker does not see /gone"):
        run(dask.address, abs, [1], needed=(Path("/gone"),))
    monkeypatch.setattr(cluster, "__version__", "0.0.0")
    with pytest.raises(UserError, match=r"a worker has raydino .*, not 0.0.0"):
        run(dask.address, abs, [1])


def test_addresses() -> None:
    require_address("dask://10.0.0.5:8786")
    for wrong in ("10.0.0.5:8786", "dask://10.0.0.5", "ray://10.0.0.5:1", "dask://a b:1", ""):
        with pytest.raises(UserError, match=re.escape("dask://HOST:PORT")):
            require_address(wrong)


def test_nobody_there_and_nobody_to_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with pytest.raises(
        UserError, match="dask://127.0.0.1:9: no Dask scheduler answers; start one with: dask scheduler"
    ):
        run("dask://127.0.0.1:9", abs, [1])


def test_a_scheduler_without_workers_and_one_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    started = Started()
    try:
        for worker in started.workers:
            worker.terminate()
        with pytest.raises(UserError, match="the Dask scheduler has no workers"):
            run(started.address, abs, [1])
        started.workers = [started.add_worker()]
        monkeypatch.setattr(cluster, "CONNECT_SECONDS", 30)
        stream = cluster_map(
            time.sleep, [0.02] * 500, address=started.address, needed=(), timeout_seconds=9, prepare=int
        )
        next(stream)
        started.scheduler.kill()
        with pytest.raises(UserError, match="the cluster is lost; the same command again"):
            list(stream)
    finally:
        started.stop()
