"""Readings on an existing Dask cluster: ``process_map`` of ``pool``, with the pool on the workers.

A task is a batch of jobs. Each thread of a Dask worker hands them to a process of its own, so a decoder
that crashes takes neither the Dask worker nor the rest of its batch along. A task whose
worker is lost goes to another one (Dask does that). Files don't travel: the workers open them.
Needs the extra ``dask``.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from raydino import __version__
from raydino.errors import UserError
from raydino.processes import Worker, WorkerFailed

if TYPE_CHECKING:
    from distributed import Client

Job = TypeVar("Job")
Result = TypeVar("Result")
BATCH = 8
BATCHES_A_THREAD = 2  # in flight: one at work, one that waits
CONNECT_SECONDS = 10
_SAME = "install the same raydino, with the same decoders, on all of them"
_AGAIN = "the same command again goes on where it was"


def require_address(on: str) -> None:
    """Raises UserError unless ``on`` has the form of an address."""
    if not re.fullmatch(r"dask://[^/\s]+:\d+/?", on):
        raise UserError(f"--on {on} is not possible", remedy="dask://HOST:PORT of a Dask scheduler")


def cluster_map(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    address: str,
    needed: Sequence[Path],
    timeout_seconds: float,
    prepare: Callable[[], None],
) -> Iterator[tuple[Job, Result | WorkerFailed]]:
    """Yield each job with its result, in the order in which they finish, from the cluster at ``dask://host:port``.

    ``needed`` are the files and folders that the jobs will open. Raises UserError where there is no
    scheduler, no worker, or one that lacks ``needed`` or has another version of raydino.
    """
    client = _connected(address)
    from distributed import Future, as_completed
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    run = Batch(function, prepare, timeout_seconds, tuple(map(str, needed)), __version__)
    pending = iter(jobs)
    batches: dict[Future[list[Result | WorkerFailed] | str], list[Job]] = {}
    flying = as_completed(loop=client.loop)

    def send() -> None:
        if batch := list(islice(pending, BATCH)):
            future = client.submit(run, batch, pure=False)
            batches[future] = batch
            flying.add(future)

    try:
        for _ in range(BATCHES_A_THREAD * sum(client.nthreads().values())):
            send()
        for future in flying:
            results = future.result()
            if isinstance(results, str):
                raise UserError(results, where=address)
            send()
            yield from zip(batches.pop(future), results, strict=True)
    except KilledWorker:
        raise UserError("the workers die of one batch again and again", where=address, remedy=_AGAIN) from None
    except ImportError as error:
        raise UserError(f"a worker lacks the module {error.name}", where=address, remedy=_SAME) from None
    except (FutureCancelledError, OSError):
        raise UserError("the cluster is lost", where=address, remedy=_AGAIN) from None
    finally:
        client.close()


@dataclass(frozen=True)
class Batch(Generic[Job, Result]):
    """The task: runs on a Dask worker. It answers with the results in order, or with what the worker lacks."""

    function: Callable[[Job], Result]
    prepare: Callable[[], None]
    timeout_seconds: float
    needed: tuple[str, ...]
    version: str

    def __call__(self, jobs: list[Job]) -> list[Result | WorkerFailed] | str:
        if self.version != __version__:
            return f"a worker has raydino {__version__}, not {self.version}"
        if lacking := [path for path in self.needed if not os.path.exists(path)]:
            return f"a worker does not see {lacking[0]}: it must lie on all of them under the same path"
        worker = _own_worker(self.function, self.prepare, self.timeout_seconds)
        return [worker.run(job) for job in jobs]


_own = threading.local()  # of each thread of a Dask worker


def _own_worker(*serve: Any) -> Worker[Any, Any]:
    """The process that this thread hands its jobs to; the same from batch to batch."""
    wanted = pickle.dumps(serve)
    if getattr(_own, "serves", None) != wanted:
        if hasattr(_own, "worker"):
            _own.worker.kill()
        # Dask's workers are daemons, and multiprocessing would not let them have children.
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        _own.worker, _own.serves = Worker(*serve), wanted
    worker: Worker[Any, Any] = _own.worker
    return worker


def _connected(address: str) -> Client:
    try:
        import dask
        from distributed import Client
    except ModuleNotFoundError:
        raise UserError("--on needs Dask", remedy="install it with: pip install 'raydino[dask]'") from None
    for name in ["distributed", *logging.root.manager.loggerDict]:
        if name.split(".")[0] == "distributed":  # what it has to say is said here in one line
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})  # films that a source brings are large
    scheduler = address.replace("dask", "tcp", 1)
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError):
        raise UserError("no Dask scheduler answers", where=address, remedy="start one with: dask scheduler") from None
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError:
        remedy = f"start some with: dask worker {scheduler}"
        client.close()
        raise UserError("the Dask scheduler has no workers", where=address, remedy=remedy) from None
    return client
