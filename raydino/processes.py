"""Worker processes that may crash or hang without ending the run.

A decoder in C can take its process with it. So each worker has one job at a time and a pipe of its
own: when the pipe closes, or the time is up, exactly that job has failed and a new worker starts.
(``concurrent.futures`` cannot say which job broke its pool.) A job whose process died is tried once
more, for it may have been the victim of others: of the kernel short of memory, of a signal to all.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
_LONGEST_TMPDIR = 60  # of the 104 bytes that macOS has for a socket's path; the rest is for multiprocessing's names
_READY = "ready"
_START_SECONDS = 120.0
_ALARM_SECONDS = 30.0  # after the time is up: nobody is left to end the process
_IDLE_SECONDS = 60.0  # without a job the process ends; the next job starts another
END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)  # a shutdown, Ctrl-C, SLURM before the time is over
MEMORY_BYTES = 4 * 2**30  # of address space for one job; the largest films take about 1 GiB


class WorkerFailed(Exception):
    """A job whose process died or ran out of time; the text says which."""


def process_map(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    workers: int,
    timeout_seconds: float,
    prepare: Callable[[], None],
) -> Iterator[tuple[Job, Result | WorkerFailed]]:
    """Yield each job with its result, in the order in which they finish.

    ``function`` and ``prepare`` (called once in each process) must be importable, and ``function``
    must not raise. Each worker prints nothing: its stdout and stderr are closed.
    """
    pending = iter(jobs)
    pool = [Worker(function, prepare, timeout_seconds) for _ in range(workers)]
    try:
        working = list(pool)
        while working:
            wait([worker.pipe for worker in working], timeout=1.0)
            for worker in list(working):
                outcome = worker.outcome()
                if outcome is None:
                    continue
                # The next job goes out first, so that the worker is busy while the outcome is seen to.
                if worker.is_ready and not worker.take(pending):
                    working.remove(worker)
                if outcome is not _READY:
                    yield outcome  # type: ignore[misc]
    finally:
        for worker in pool:
            worker.kill()


class Worker(Generic[Job, Result]):
    """One process at a time, its pipe, and the job that it has."""

    def __init__(self, function: Callable[[Job], Result], prepare: Callable[[], None], timeout_seconds: float) -> None:
        self._context = _context(function)
        self._serve = (function, prepare, timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._job: Job | None = None
        self._deaths = 0  # of processes that had the job
        self._start()

    def run(self, job: Job) -> Result | WorkerFailed:
        """Do one job and wait for its result."""
        while not self.is_ready:
            wait([self.pipe], timeout=1.0)
            self.outcome()
        self.take(iter((job,)))
        while (outcome := self.outcome()) is None:
            wait([self.pipe], timeout=1.0)
        return outcome[1]  # type: ignore[index]

    def _start(self) -> None:
        self.pipe, theirs = self._context.Pipe()
        self.is_ready = False
        self._since = time.monotonic()
        self.process = self._context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs, *self._serve), daemon=True
        )
        self.process.start()
        theirs.close()

    def take(self, pending: Iterator[Job]) -> bool:
        """Send the next job; False when there is none left."""
        try:
            self._job = next(pending)
        except StopIteration:
            return False
        self._deaths = 0
        self._send()
        return True

    def _send(self) -> None:
        self._since = time.monotonic()
        with contextlib.suppress(OSError):  # the process has died meanwhile: its pipe reports that at once
            self.pipe.send(self._job)

    def outcome(self) -> object:
        """None while it works, _READY once after a start, else (job, result)."""
        if self.pipe.poll():
            try:
                message = self.pipe.recv()
            except (EOFError, OSError):
                return self._died()
            return self._done(message) if self.is_ready else self._started()
        if time.monotonic() - self._since <= (self._timeout_seconds if self.is_ready else _START_SECONDS):
            return None
        if not self.is_ready:
            raise RuntimeError("a worker process did not start in time")
        self._restart()
        return self._done(WorkerFailed(f"took longer than {self._timeout_seconds:.0f} s"))

    def _started(self) -> object:
        self.is_ready = True
        if self._job is None:
            return _READY
        self._send()  # the job of the process before
        return None

    def _died(self) -> object:
        if not self.is_ready:
            raise RuntimeError("a worker process did not start: it died")
        self._restart()
        self._deaths += 1
        return None if self._deaths == 1 else self._done(WorkerFailed("the process that decoded it died"))

    def _done(self, result: object) -> tuple[Job | None, object]:
        job, self._job = self._job, None
        return job, result

    def _restart(self) -> None:
        self.kill()
        self._start()

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _context(function: Callable[..., object]) -> BaseContext:
    """forkserver where there is one (a clean parent, quick starts), else spawn; never a plain fork.

    The fork server listens at a socket in the folder for temporary files, and a socket's path must be short.
    """
    is_short = len(tempfile.gettempdir()) <= _LONGEST_TMPDIR
    if "forkserver" not in multiprocessing.get_all_start_methods() or not is_short:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    module = getattr(function, "func", function).__module__
    context.set_forkserver_preload([module])
    return context


def _serve(
    pipe: Connection, function: Callable[[Job], Result], prepare: Callable[[], None], timeout_seconds: float
) -> None:
    """The process: answer jobs until the other end closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # those go to the whole group of processes;
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to stop
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    prepare()
    start = _address_space()
    most = start + MEMORY_BYTES
    if start:
        with contextlib.suppress(OSError, ValueError):  # a lower limit is set already
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    try:
        pipe.send(_READY)
        while pipe.poll(_IDLE_SECONDS) and _address_space() < most - MEMORY_BYTES / 2:
            job = pipe.recv()  # beyond that it leaks, and another process gets the job
            signal.alarm(math.ceil(timeout_seconds + _ALARM_SECONDS))
            pipe.send(function(job))
            signal.alarm(0)
    except (EOFError, OSError):
        return


def _address_space() -> int:
    """Bytes of address space of this process; 0 where there is no Linux to say it, and then no limit either."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return 0
