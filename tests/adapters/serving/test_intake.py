"""Files come in: durable before the sender is told, once, and never more than there is room for."""

import errno
import os
from pathlib import Path

import pytest

from adapters.serving.intake import Full, Intake
from adapters.serving.queue import JobQueue, State


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    (tmp_path / "films").mkdir()
    return Intake(JobQueue(tmp_path / "queue.sqlite"), tmp_path / "films", model="m", reserve_bytes=0)


def test_a_file_is_on_the_disk_and_then_a_job(intake: Intake) -> None:
    woken = []
    intake.arrived = lambda: woken.append(1)
    job = intake.receive(b"film")
    assert intake.path(job.id).read_bytes() == b"film"
    assert intake.path(job.id).stat().st_mode & 0o077 == 0
    assert (intake.queue.get(job.id).state, woken) == (State.WAITING, [1])
    assert [path.name for path in intake.folder.iterdir()] == [f"{job.id}.dcm"]


def test_the_same_file_is_the_same_job_and_another_model_makes_another(intake: Intake) -> None:
    assert intake.receive(b"film").id == intake.receive(b"film").id != intake.receive(b"other").id
    assert intake.queue.counts()[State.WAITING] == 2
    other_model = Intake(intake.queue, intake.folder, model="n", reserve_bytes=0)
    assert other_model.job_id(b"film") != intake.job_id(b"film")


def test_a_full_queue_takes_nothing_new_but_knows_what_it_has(intake: Intake) -> None:
    intake.most_waiting = 2
    known = intake.receive(b"1")
    intake.receive(b"2")
    assert not intake.has_room()
    with pytest.raises(Full):
        intake.receive(b"3")
    assert intake.receive(b"1") == known
    assert intake.queue.claim().id == known.id
    assert intake.receive(b"3").state is State.WAITING


def test_a_disk_without_its_reserve_takes_nothing(intake: Intake) -> None:
    intake.reserve_bytes = 2**62
    with pytest.raises(Full):
        intake.receive(b"film")
    assert list(intake.folder.iterdir()) == []


def test_a_disk_that_fills_up_while_writing_leaves_no_job_and_no_half_file(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Full):
        intake.receive(b"film")
    assert list(intake.folder.iterdir()) == []
    assert sum(intake.queue.counts().values()) == 0


def test_a_failed_job_is_tried_again_when_its_file_comes_again(intake: Intake) -> None:
    job = intake.receive(b"film")
    intake.queue.finish(job.id, State.FAILED, reason="crashed")
    assert intake.receive(b"film").state is State.WAITING
