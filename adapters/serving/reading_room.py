"""Jobs are read here: threads take them from the queue, each with a file process of its own, and share one model.

While one film is before the model the next is parsed and the results of the one before are written, so the model is
busy whenever jobs wait. A file that crashes, hangs or eats memory takes its process along and nothing else.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.reading import Reader
from adapters.results.model import Model
from adapters.serving import film_work
from adapters.serving.film_work import Parse, Parsed, Trouble, Unfit, Write
from adapters.serving.queue import Job, JobQueue, State
from raydino.processes import Worker, WorkerFailed

_LOOK_SECONDS = 1.0  # between looks into the queue when nobody wakes us
_PAUSE_SECONDS = 5.0  # after a fault of the machine, not of a file
_LOG = logging.getLogger("raydino.serve")


@dataclass
class ReadingRoom:
    """Reads what waits in ``queue``; films lie at ``film_path(job id)``, results go to ``results / RESULT ID``.

    ``file_processes``: how many files are parsed or written at a time, beside the model.
    """

    reader: Reader
    model: Model
    queue: JobQueue
    film_path: Callable[[str], Path]
    results: Path
    deliver: bool = False
    file_processes: int = 2
    seconds: float = film_work.SECONDS  # for one request to a file process
    ended: Callable[[State, float], None] = lambda state, seconds: None  # called after each job: how long it was read
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _model_lock: threading.Lock = field(default_factory=threading.Lock)
    _ending: bool = False
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin to read."""
        for number in range(self.file_processes):
            thread = threading.Thread(target=self._work, name=f"reading-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """There is a new job."""
        with self._wake:
            self._wake.notify()

    def stop(self) -> None:
        """Finish what is being read, and no more."""
        with self._wake:
            self._ending = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    def with_model(self, ask: Callable[[Reader], Any]) -> Any:
        """Ask the model something between two films."""
        with self._model_lock:
            return ask(self.reader)

    def _work(self) -> None:
        worker: Worker[Any, Any] | None = None
        try:
            while not self._ending:
                job = self._claim()
                if job is None:
                    continue
                try:
                    worker = worker or Worker(film_work.do, film_work.prepare, self.seconds)
                    self._read(job, worker)
                except Exception as error:  # of the machine or of ours: never quote it, it may hold the header
                    _LOG.error("job %s: %s in the service", job.id, type(error).__name__)
                    if worker is not None:
                        worker.kill()
                    worker = None
                    self._pause(_PAUSE_SECONDS)
                    self._give_back(job, f"the service failed on it ({type(error).__name__})")
        finally:
            if worker is not None:
                worker.kill()

    def _claim(self) -> Job | None:
        """The next job, or None after a while; a queue that cannot be written (a full disk) is asked again."""
        try:
            job = self.queue.claim()
        except sqlite3.Error as error:
            _LOG.error("the queue cannot be used: %s", error)
            self._pause(_PAUSE_SECONDS)
            return None
        if job is None:
            self._pause(_LOOK_SECONDS)
        return job

    def _give_back(self, job: Job, reason: str) -> None:
        """Until the queue takes it; at the end of the service it waits again by itself."""
        while not self._ending:
            try:
                self.queue.give_back(job.id, reason)
                return
            except sqlite3.Error:
                self._pause(_PAUSE_SECONDS)

    def _read(self, job: Job, worker: Worker[Any, Any]) -> None:
        """One job from its file to its results."""
        begun = time.monotonic()
        parsed = worker.run(Parse(self.film_path(job.id), dict(self.reader.encoder.spec.pixels)))
        if not isinstance(parsed, Parsed):
            self._end(job, parsed, begun)
            return
        reading = self.with_model(lambda reader: reader.read_film(parsed.film))
        written = worker.run(Write(self.results, reading, parsed.source, self.model))
        if isinstance(written, Trouble):
            _LOG.error("job %s: %s", job.id, written.reason)
            self._pause(_PAUSE_SECONDS)
            self._give_back(job, written.reason)
            return
        self._end(job, written, begun)

    def _end(self, job: Job, outcome: Path | Unfit | WorkerFailed, begun: float) -> None:
        if isinstance(outcome, Path):
            state = State.READ
            self.queue.finish(job.id, state, result=outcome.stem, deliver=self.deliver)
        else:
            state = State.REFUSED if isinstance(outcome, Unfit) else State.FAILED
            reason = outcome.reason if isinstance(outcome, Unfit) else f"its file cannot be read: {outcome}"
            self.queue.finish(job.id, state, reason=reason)
        self.ended(state, time.monotonic() - begun)

    def _pause(self, seconds: float) -> None:
        """Or until there is a new job."""
        with self._wake:
            if not self._ending:
                self._wake.wait(seconds)
