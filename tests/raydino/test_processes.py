from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from raydino.processes import WorkerFailed, process_map


@pytest.mark.parametrize("workers", [1, 3])
def test_results_with_crashes_and_hangs(workers: int) -> None:
    """Jobs are seconds to sleep and exit codes for the standard library's own functions."""
    outcomes = list(process_map(time.sleep, [0.0, 0.01, 60.0, 0.02], workers=workers, timeout_seconds=1.0, prepare=int))
    assert sorted(job for job, _ in outcomes) == [0.0, 0.01, 0.02, 60.0]
    failed = {job: result for job, result in outcomes if isinstance(result, WorkerFailed)}
    assert list(failed) == [60.0]
    assert "longer than 1 s" in str(failed[60.0])


def test_a_process_that_dies_takes_only_its_own_job_along() -> None:
    jobs = [0, 1, 2, 3]
    outcomes = list(process_map(os._exit, jobs, workers=2, timeout_seconds=20.0, prepare=int))
    assert sorted(job for job, _ in outcomes) == jobs
    assert all(isinstance(result, WorkerFailed) and "died" in str(result) for _, result in outcomes)


def test_results_come_back_and_no_process_stays() -> None:
    outcomes = dict(process_map(abs, range(-20, 0), workers=2, timeout_seconds=20.0, prepare=int))
    assert outcomes == {n: -n for n in range(-20, 0)}


def test_stopping_early_ends_the_workers() -> None:
    stream = process_map(time.sleep, [0.0, 100.0, 100.0], workers=2, timeout_seconds=200.0, prepare=int)
    start = time.monotonic()
    assert next(stream) == (0.0, None)
    stream.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 20


def test_a_worker_that_cannot_start_is_our_fault() -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        list(process_map(abs, [1], workers=1, timeout_seconds=5.0, prepare=os.abort))


def test_a_long_folder_for_temporary_files_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork server's socket would have too long a path."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert dict(process_map(abs, [-1, -2], workers=1, timeout_seconds=20.0, prepare=int)) == {-1: 1, -2: 2}
