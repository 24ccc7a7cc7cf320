"""The queue: nothing is lost, nothing is done twice."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from adapters.serving.queue import ATTEMPTS, Delivery, JobQueue, State
from raydino.errors import UserError


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "queue.sqlite")


def test_jobs_are_claimed_in_the_order_of_their_arrival(queue: JobQueue) -> None:
    for name in "abc":
        queue.add(name)
    assert [queue.claim().id for _ in range(3)] == ["a", "b", "c"]
    assert queue.claim() is None
    assert [job.id for job in queue.newest(2)] == ["c", "b"]


def test_the_same_job_is_there_once_and_a_failed_one_gets_another_chance(queue: JobQueue) -> None:
    assert queue.add("a") == queue.add("a")
    for state in (State.READ, State.REFUSED):
        queue.finish("a", state, result="r" if state is State.READ else None)
        assert queue.add("a").state is state
    queue.finish("a", State.FAILED, reason="it crashed")
    again = queue.add("a")
    assert (again.state, again.attempts, again.reason) == (State.WAITING, 0, None)


def test_what_was_being_read_when_the_process_died_waits_again(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    code = (
        "import os, sys; from pathlib import Path; from adapters.serving.queue import JobQueue\n"
        "queue = JobQueue(Path(sys.argv[1])); queue.add('a'); queue.add('b'); queue.claim(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    queue = JobQueue(path)
    assert queue.counts() == {State.WAITING: 2, State.READING: 0, State.READ: 0, State.REFUSED: 0, State.FAILED: 0}
    assert (queue.claim().id, queue.get("a").attempts) == ("a", 2)


def test_a_job_that_is_given_back_too_often_has_failed(queue: JobQueue) -> None:
    queue.add("a")
    for _ in range(ATTEMPTS):
        assert queue.claim().id == "a"
        queue.give_back("a", "no memory")
    job = queue.get("a")
    assert (job.state, job.reason) == (State.FAILED, "no memory")
    assert queue.claim() is None


def test_threads_share_the_jobs_without_loss(queue: JobQueue) -> None:
    names = [f"{number:03}" for number in range(120)]
    claimed: list[str] = []

    def work() -> None:
        while (job := queue.claim()) is not None:
            claimed.append(job.id)
            queue.finish(job.id, State.READ, result=job.id)

    for name in names:
        queue.add(name)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == names
    assert queue.counts()[State.READ] == len(names)


def test_deliveries_wait_until_they_are_done_or_refused(queue: JobQueue) -> None:
    for name in "abc":
        queue.add(name)
        queue.finish(name, State.READ, result=name, deliver=name != "c")
    assert [job.id for job in queue.undelivered()] == ["a", "b"]
    queue.delivered("a")
    queue.undeliverable("b", "the PACS takes no SR")
    assert queue.undelivered() == []
    assert [queue.get(name).delivery for name in "abc"] == [Delivery.DONE, Delivery.FAILED, Delivery.NONE]
    assert queue.get("b").reason == "the PACS takes no SR"


def test_a_file_that_is_no_queue_or_of_another_version_is_one_line(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    other.write_bytes(b"not a database, but long enough to be looked at" * 10)
    with pytest.raises(UserError, match="cannot be used as the queue"):
        JobQueue(other)
    newer = tmp_path / "newer.sqlite"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(UserError, match="version 9, and this raydino knows 1"):
        JobQueue(newer)
