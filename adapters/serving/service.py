"""The reading room put together: what ``raydino serve`` starts, and stops in order.

STATE holds everything: ``queue.sqlite``, ``films/`` as they were received, ``results/`` and ``access.jsonl``. It holds
identifiers of patients, so only its owner can read it, and old films and results go after ``keep_days``.
"""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Protocol

from adapters.reading import Reader
from adapters.results.model import Model
from adapters.serving.intake import Intake
from adapters.serving.looking import Looking
from adapters.serving.monitoring import Monitoring
from adapters.serving.peers import Peers
from adapters.serving.queue import Job, JobQueue
from adapters.serving.reading_room import ReadingRoom
from adapters.serving.similar import SimilarFilms
from raydino.errors import UserError

_SWEEP_SECONDS = 3600.0
_LOG = logging.getLogger("raydino.serve")


class Part(Protocol):
    """Something that works beside the others: the storage SCP, deliveries, the watch over a PACS."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass
class Service:
    """All parts of one reading room, over one folder."""

    folder: Path
    queue: JobQueue
    intake: Intake
    room: ReadingRoom
    looking: Looking
    monitoring: Monitoring
    keep_days: float
    parts: list[Part] = field(default_factory=list)
    _lock: IO[str] | None = None
    _ending: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(
        cls,
        folder: Path,
        reader: Reader,
        model: Model,
        *,
        audit: Peers | None = None,
        similar: SimilarFilms | None = None,
        deliver: bool = False,
        file_processes: int = 2,
        most_waiting: int = 10_000,
        keep_days: float = 30.0,
    ) -> Service:
        """Raises UserError where the folder is in use, or cannot be used."""
        lock = take_folder(folder)
        queue = JobQueue(folder / "queue.sqlite")
        monitoring = Monitoring(queue)
        intake = Intake(queue, folder / "films", model.fingerprint, most_waiting)
        room = ReadingRoom(
            reader,
            model,
            queue,
            intake.path,
            folder / "results",
            deliver=deliver,
            file_processes=file_processes,
            ended=monitoring.job_ended,
        )
        intake.arrived = room.wake
        return cls(folder, queue, intake, room, Looking(room, audit, similar), monitoring, keep_days, _lock=lock)

    def start(self) -> None:
        """Begin to read, and start the other parts."""
        self.room.start()
        for part in self.parts:
            part.start()
        threading.Thread(target=self._keep_sweeping, name="sweeping", daemon=True).start()

    def stop(self) -> None:
        """Take nothing more, finish what is being read, and let the folder go."""
        self._ending.set()
        for part in reversed(self.parts):
            part.stop()
        self.room.stop()
        self.looking.stop()
        self.queue.close()
        if self._lock is not None:
            self._lock.close()

    def _keep_sweeping(self) -> None:
        while not self._ending.wait(_SWEEP_SECONDS):
            try:
                sweep(self.queue, self.intake.path, self.room.results, self.keep_days)
            except Exception as error:
                _LOG.error("old results cannot be removed (%s)", type(error).__name__)


def take_folder(folder: Path) -> IO[str]:
    """Make the folder and those in it, for its owner alone; the file whose lock says that it is in use.

    Raises UserError where it cannot be made, others could plant files in it, or another service works in it.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file of a decoder would hold the film
    _require_own(folder)
    try:
        for part in (folder / "films", folder / "results"):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("w", encoding="ascii")
    except OSError as error:
        raise UserError(f"the folder cannot be used ({error.strerror})", where=folder) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise UserError("another raydino serve works in this folder", where=folder) from None
    return lock


def _require_own(folder: Path) -> None:
    """Make the folder. Raises UserError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise UserError(f"the folder cannot be used ({error.strerror})", where=folder) from None
    if found.st_uid not in (os.geteuid(), 0) or found.st_mode & 0o022:
        remedy = f"chmod 700 {folder}, or another --folder"
        raise UserError("others on this machine can write into the folder", where=folder, remedy=remedy)


def sweep(
    queue: JobQueue,
    film_path: Callable[[str], Path],
    results: Path,
    keep_days: float,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Sequence[Job]:
    """Remove films and results of jobs that ended and are older than ``keep_days``; return those jobs.

    Results that wait for the PACS stay, and so does a folder that a newer job has as its result too.
    """
    moment = (now() - timedelta(days=keep_days)).isoformat(timespec="milliseconds")
    old = queue.finished_before(moment)
    for job in old:
        with suppress(FileNotFoundError):
            film_path(job.id).unlink()
        queue.forget(job.id)
        if job.result and not queue.uses(job.result):
            shutil.rmtree(results / job.result, ignore_errors=True)
    return old
