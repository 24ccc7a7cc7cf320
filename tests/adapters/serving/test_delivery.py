"""Deliveries: everything arrives once the PACS is back, one bad result holds up nobody, and nothing is forgotten."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from adapters.serving.delivery import Delivery
from adapters.serving.pacs import Refusal, open_pacs
from adapters.serving.queue import Delivery as State
from adapters.serving.queue import JobQueue
from adapters.serving.queue import State as Reading
from raydino.readers.base import SourceGone

Make = Callable[..., Dataset]


class ScriptedPacs:
    """Takes what it is given, or raises what ``faults`` holds for a result."""

    shown = "scripted"

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.faults: dict[str, Exception] = {}

    def store(self, files: Sequence[Path]) -> None:
        name = files[0].parent.name
        if name in self.faults:
            raise self.faults[name]
        self.stored.append(name)

    studies: Any = None
    films: Any = None
    fetch: Any = None


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "queue.sqlite")


@pytest.fixture
def read(queue: JobQueue, tmp_path: Path, radiograph: Make) -> Callable[[int], str]:
    """``read(number)``: a job whose result, a SEG and an SR, waits for the PACS; its id."""

    def add(number: int) -> str:
        folder = tmp_path / "results" / f"r{number}"
        folder.mkdir(parents=True)
        for part, modality in enumerate(("SEG", "SR")):
            dataset = radiograph(100 * number + part + 1, Modality=modality, StudyInstanceUID=f"2.25.7{number}")
            dataset.SeriesInstanceUID = f"2.25.8{number}{part}"
            dataset.save_as(folder / f"r{number}.{modality.lower()}.dcm", enforce_file_format=True)
        (folder / ".r.dcm.partial").write_bytes(b"half")
        job = queue.add(f"{number:032x}")
        queue.claim()
        queue.finish(job.id, Reading.READ, result=f"r{number}", deliver=True)
        return job.id

    return add


def wait_for(what: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_each_result_is_stored_once(queue: JobQueue, read: Callable[[int], str], tmp_path: Path) -> None:
    pacs = ScriptedPacs()
    jobs = [read(number) for number in range(3)]
    delivery = Delivery(queue, pacs, tmp_path / "results")
    delivery.deliver()
    delivery.deliver()
    assert pacs.stored == ["r0", "r1", "r2"]
    assert [queue.get(job).delivery for job in jobs] == [State.DONE] * 3  # type: ignore[union-attr]


def test_faults_of_one_result(
    queue: JobQueue, read: Callable[[int], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pacs, now = ScriptedPacs(), 1000.0
    jobs = [read(number) for number in range(4)]
    pacs.faults = {"r0": OSError(errno.EIO, "the server fails (500)"), "r1": Refusal("refuses (A900)")}
    shutil.rmtree(tmp_path / "results" / "r2")
    delivery = Delivery(queue, pacs, tmp_path / "results", pause_seconds=1.0, clock=lambda: now)
    tries = []
    for now in (1000.0, 1001.0, 1002.0, 1003.0, 1006.0):  # noqa: B007
        delivery.deliver()
        tries.append(queue.get(jobs[0]).delivery)  # type: ignore[union-attr]
    assert tries == [State.WAITING] * 5
    assert pacs.stored == ["r3"]
    refused, gone = queue.get(jobs[1]), queue.get(jobs[2])
    assert refused is not None
    assert gone is not None
    assert (refused.delivery, refused.reason) == (State.FAILED, "refuses (A900)")
    assert (gone.delivery, gone.reason) == (State.FAILED, "its results are gone from the disk")
    assert "2.25" not in caplog.text
    del pacs.faults["r0"]
    now = 1013.0
    delivery.deliver()  # it failed at 1000, 1002 and 1006: its third pause has 8 s
    assert pacs.stored == ["r3"]
    now = 1014.0
    delivery.deliver()
    assert pacs.stored == ["r3", "r0"]


def test_while_the_pacs_is_away_everything_waits(
    queue: JobQueue, read: Callable[[int], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pacs = ScriptedPacs()
    for number in range(3):
        read(number)
        pacs.faults[f"r{number}"] = SourceGone("the server cannot be reached")
    delivery = Delivery(queue, pacs, tmp_path / "results", pause_seconds=0.01)
    delivery.start()
    wait_for(lambda: delivery.away == "the server cannot be reached")
    time.sleep(0.1)
    assert len(queue.undelivered()) == 3
    pacs.faults.clear()
    wait_for(lambda: not queue.undelivered())
    wait_for(lambda: delivery.away is None)
    begun = time.monotonic()
    delivery.stop()
    assert time.monotonic() - begun < 1
    assert caplog.text.count("the server cannot be reached") == 1
    assert "goes on" in caplog.text


@pytest.mark.parametrize("way", ["web", "dimse"])
def test_a_real_pacs_that_is_killed_in_the_middle_misses_nothing(
    way: str, start_orthanc: Callable[..., Any], queue: JobQueue, read: Callable[[int], str], tmp_path: Path
) -> None:
    orthanc = start_orthanc()
    for number in range(5):
        read(number)
    pacs = open_pacs(orthanc.web if way == "web" else orthanc.dimse())
    delivery = Delivery(queue, pacs, tmp_path / "results", pause_seconds=0.1)
    delivery.start()
    wait_for(lambda: len(queue.undelivered()) == 0)
    orthanc.kill()
    for number in range(5, 10):
        read(number)
    wait_for(lambda: delivery.away)
    assert len(queue.undelivered()) == 5
    orthanc.start()
    wait_for(lambda: not queue.undelivered())
    delivery.stop()
    found = {orthanc.ask(f"/instances/{one}/tags?simplify")["SOPInstanceUID"] for one in orthanc.ask("/instances")}
    assert found == {f"2.25.{100 * number + part}" for number in range(10) for part in (1, 2)}
    sent = orthanc.ask("/statistics")
    for job in queue.newest(100):  # and once more: nothing changes
        pacs.store(sorted((tmp_path / "results" / str(job.result)).glob("r*.dcm")))
    assert orthanc.ask("/statistics") == sent
