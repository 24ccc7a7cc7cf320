"""Jobs are read: results as raydino read writes them, and a bad file takes nothing else along."""

import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from adapters.reading import Reader, Reading
from adapters.results.files import write_results
from adapters.results.model import Model
from adapters.serving.queue import Job, State
from adapters.serving.service import Service
from raydino.data.film_source import source_of_film
from raydino.data.one_film import OneFilm


def wait_until_idle(service: Service, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        counts = service.queue.counts()
        if not counts[State.WAITING] and not counts[State.READING]:
            return
        time.sleep(0.02)
    raise AssertionError(f"still at work: {service.queue.counts()}")


def files_of(service: Service, job: Job) -> dict[str, bytes]:
    folder = service.room.results / str(service.queue.get(job.id).result)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_results_are_those_of_raydino_read_and_a_second_service_changes_nothing(
    open_service: Callable[..., Service], dicom_films: list[Path], reader: Reader, model: Model, tmp_path: Path
) -> None:
    service = open_service(file_processes=2)
    service.start()
    jobs = [service.intake.receive(path.read_bytes()) for path in dicom_films[:3]]
    wait_until_idle(service)
    (tmp_path / "alone").mkdir()
    for job, path in zip(jobs, dicom_films, strict=False):
        done = service.queue.get(job.id)
        assert done.state is State.READ, done.reason
        reading = reader.read(path)
        written = write_results(tmp_path / "alone", reading, source_of_film(path, reading.film), model)
        assert written.stem == done.result
        alone = {file.name: file.read_bytes() for file in tmp_path.glob(f"alone/{done.result}*")}
        found = files_of(service, job)
        assert {name: content for name, content in found.items() if name != ".image"} == alone
    service.stop()
    again = open_service(tmp_path / "again")
    again.start()
    repeated = again.intake.receive(dicom_films[0].read_bytes())
    wait_until_idle(again)
    assert files_of(again, repeated) == files_of(service_of(service, jobs[0], open_service), jobs[0])


def service_of(stopped: Service, job: Job, open_service: Callable[..., Service]) -> Service:
    """Opened again over the same folder: its jobs are all there."""
    opened = open_service(stopped.folder)
    assert opened.queue.get(job.id).state is State.READ
    return opened


def test_files_that_are_no_films_are_refused_with_a_line_that_quotes_nothing(
    open_service: Callable[..., Service], dicom_films: list[Path]
) -> None:
    service = open_service()
    service.start()
    whole = dicom_films[0].read_bytes()
    bad = [b"not DICOM at all", whole[: len(whole) // 2], b"\0" * 128 + b"DICM", whole[:200]]
    jobs = [service.intake.receive(content) for content in bad]
    good = service.intake.receive(dicom_films[1].read_bytes())
    wait_until_idle(service)
    name = str(pydicom.dcmread(dicom_films[0]).PatientID)
    for job in jobs:
        refused = service.queue.get(job.id)
        assert refused.state is State.REFUSED
        assert refused.reason
        assert "\n" not in refused.reason
        assert name not in refused.reason
    assert service.queue.get(good.id).state is State.READ


@pytest.fixture
def at_work(open_service: Callable[..., Service], dicom_films: list[Path]) -> tuple[Service, int]:
    """A service that has read a film, and the process that read its file, which waits for the next."""
    service = open_service()
    service.room.seconds = 20.0
    service.start()
    service.intake.receive(dicom_films[0].read_bytes())
    wait_until_idle(service)
    (process,) = multiprocessing.active_children()
    return service, process.pid or 0


def test_a_file_that_hangs_its_process_fails_alone(at_work: tuple[Service, int], dicom_films: list[Path]) -> None:
    service, process = at_work
    os.kill(process, signal.SIGSTOP)
    hanging = service.intake.receive(dicom_films[1].read_bytes())
    good = service.intake.receive(dicom_films[2].read_bytes())
    wait_until_idle(service)
    failed = service.queue.get(hanging.id)
    assert (failed.state, failed.reason) == (State.FAILED, "its file cannot be read: took longer than 20 s")
    assert service.queue.get(good.id).state is State.READ


def test_a_file_whose_process_was_killed_is_read_by_another(
    at_work: tuple[Service, int], dicom_films: list[Path]
) -> None:
    service, process = at_work
    os.kill(process, signal.SIGSTOP)
    job = service.intake.receive(dicom_films[1].read_bytes())
    while service.queue.get(job.id).state is State.WAITING:
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    wait_until_idle(service)
    assert service.queue.get(job.id).state is State.READ


def test_a_model_that_fails_gives_the_job_back_and_the_service_goes_on(
    open_service: Callable[..., Service], dicom_films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = open_service()
    monkeypatch.setattr("adapters.serving.reading_room._PAUSE_SECONDS", 0.0)
    read, faults = service.room.reader.read_film, iter([MemoryError, MemoryError])

    def failing(film: OneFilm) -> Reading:
        if fault := next(faults, None):
            raise fault
        return read(film)

    monkeypatch.setattr(service.room.reader, "read_film", failing)
    service.start()
    job = service.intake.receive(dicom_films[0].read_bytes())
    wait_until_idle(service)
    done = service.queue.get(job.id)
    assert (done.state, done.attempts) == (State.READ, 3)


def test_another_image_under_the_same_uid_is_refused(
    open_service: Callable[..., Service], dicom_films: list[Path], tmp_path: Path
) -> None:
    """And the same image with a mended header is the same result."""
    first, other = (pydicom.dcmread(path) for path in dicom_films[:2])
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    first.PatientName = "Mended^Name"
    for name, dataset in (("mended", first), ("other", other)):
        dataset.save_as(tmp_path / name)
    service = open_service()
    service.start()
    sent = [dicom_films[0], tmp_path / "mended", tmp_path / "other"]
    jobs = [service.intake.receive(path.read_bytes()) for path in sent]
    wait_until_idle(service)
    done = [service.queue.get(job.id) for job in jobs]
    assert [job.state for job in done] == [State.READ, State.READ, State.REFUSED]
    assert done[0].result == done[1].result
    assert done[2].reason == "another image with its SOP Instance UID was read before"


def test_a_queue_that_cannot_be_written_for_a_while_stops_nothing(
    open_service: Callable[..., Service], dicom_films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full: at a claim, at the end of a job, and when it is given back."""
    service = open_service()
    monkeypatch.setattr("adapters.serving.reading_room._PAUSE_SECONDS", 0.01)
    for method, faults in (("claim", 2), ("finish", 1), ("give_back", 2)):
        whole, left = getattr(service.queue, method), iter(range(faults))

        def failing(*given: Any, _whole: Any = whole, _left: Any = left, **named: Any) -> Any:
            if next(_left, None) is not None:
                raise sqlite3.OperationalError("database or disk is full")
            return _whole(*given, **named)

        monkeypatch.setattr(service.queue, method, failing)
    service.start()
    job = service.intake.receive(dicom_films[0].read_bytes())
    wait_until_idle(service)
    assert (service.queue.get(job.id).state, service.queue.get(job.id).attempts) == (State.READ, 2)


def test_results_that_cannot_be_written_are_tried_again_and_no_film_is_blamed(
    open_service: Callable[..., Service], dicom_films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = open_service()
    monkeypatch.setattr("adapters.serving.reading_room._PAUSE_SECONDS", 0.2)
    service.room.results.rmdir()
    service.room.results.write_text("in the way")
    service.start()
    job = service.intake.receive(dicom_films[0].read_bytes())
    wait_until_idle(service)
    failed = service.queue.get(job.id)
    assert (failed.state, failed.attempts) == (State.FAILED, 3)
    assert failed.reason is not None
    assert failed.reason.startswith("results cannot be written")
    service.room.results.unlink()
    assert service.intake.receive(dicom_films[0].read_bytes()).state is State.WAITING
    wait_until_idle(service)
    assert service.queue.get(job.id).state is State.READ
