"""Worker processes that may crash or hang without ending the run.

A decoder in C can take its process with it. So each worker has one job at a time and a pipe of its
own: when the pipe closes, or the time is up, exactly that job has failed and a new worker starts.
(``concurrent.futures`` cannot say which job broke its pool.)
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
_READY = "ready"
_START_SECONDS = 120.0


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
    context = _context(function)
    pool: list[_Worker[Job, Result]] = [_Worker(context, function, prepare) for _ in range(workers)]
    try:
        working = list(pool)
        while working:
            wait([worker.pipe for worker in working], timeout=1.0)
            for worker in list(working):
                outcome = worker.outcome(timeout_seconds)
                if outcome is None:
                    continue
                if outcome is not _READY:
                    yield outcome  # type: ignore[misc]
                    if not worker.is_ready:
                        continue
                if not worker.take(pending):
                    working.remove(worker)
    finally:
        for worker in pool:
            worker.kill()


class _Worker(Generic[Job, Result]):
    """One process at a time, its pipe, and the job that it has."""

    def __init__(self, context: BaseContext, function: Callable[[Job], Result], prepare: Callable[[], None]) -> None:
        self._context = context
        self._serve = (function, prepare)
        self._start()

    def _start(self) -> None:
        self.pipe, theirs = self._context.Pipe()
        self.is_ready = False
        self.job: Job | None = None
        self.since = time.monotonic()
        self.process = self._context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs, *self._serve), daemon=True
        )
        self.process.start()
        theirs.close()

    def take(self, pending: Iterator[Job]) -> bool:
        """Send the next job; False when there is none left."""
        try:
            self.job = next(pending)
        except StopIteration:
            return False
        self.since = time.monotonic()
        with contextlib.suppress(OSError):  # the process has died meanwhile: its pipe reports that at once
            self.pipe.send(self.job)
        return True

    def outcome(self, timeout_seconds: float) -> object:
        """None while it works, _READY once after a start, else (job, result)."""
        failure = None
        if self.pipe.poll():
            try:
                message = self.pipe.recv()
            except (EOFError, OSError):
                failure = "the process that decoded it died"
        elif time.monotonic() - self.since > (timeout_seconds if self.is_ready else _START_SECONDS):
            failure = f"took longer than {timeout_seconds:.0f} s"
        else:
            return None
        if not self.is_ready:
            if failure:
                raise RuntimeError(f"a worker process did not start ({failure})")
            self.is_ready = True
            return _READY
        job = self.job
        if failure is None:
            return job, message
        self.kill()
        self._start()
        return job, WorkerFailed(failure)

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _context(function: Callable[..., object]) -> BaseContext:
    """forkserver where there is one (a clean parent, quick starts), else spawn; never a plain fork."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    module = getattr(function, "func", function).__module__
    context.set_forkserver_preload([module])
    return context


def _serve(pipe: Connection, function: Callable[[Job], Result], prepare: Callable[[], None]) -> None:
    """The process: answer jobs until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    prepare()
    try:
        pipe.send(_READY)
        while True:
            pipe.send(function(pipe.recv()))
    except (EOFError, OSError):
        return
