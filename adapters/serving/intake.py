"""Files come in: on the disk first, then a job, and only then is the sender told that the file has arrived."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from adapters.serving.queue import Job, JobQueue, State
from raydino.artifacts.durable import on_disk

RESERVE_BYTES = 2**30  # that stays free on the disk: for results, the queue and the log


class Full(Exception):
    """No room for another file now: too many wait, or the disk is nearly full. The sender may try again later."""


@dataclass
class Intake:
    """Takes files into ``folder``. ``model`` is the fingerprint of what will read them.

    Results and files' contents are the same for the same film, so a file that is sent twice is one job. Thread-safe.
    """

    queue: JobQueue
    folder: Path
    model: str
    most_waiting: int = 10_000
    reserve_bytes: int = RESERVE_BYTES
    arrived: Callable[[], None] = lambda: None  # called after each new job

    def job_id(self, content: bytes) -> str:
        """32 hex digits of SHA-256 over the model and the file."""
        return hashlib.sha256(self.model.encode() + content).hexdigest()[:32]

    def path(self, job_id: str) -> Path:
        """Of the file as it was received."""
        return self.folder / f"{job_id}.dcm"

    def has_room(self) -> bool:
        """Whether another file would be taken."""
        waiting = self.queue.counts()[State.WAITING]
        return waiting < self.most_waiting and shutil.disk_usage(self.folder).free > self.reserve_bytes

    def receive(self, content: bytes) -> Job:
        """Take one DICOM file. It is safe when this returns. Raises Full."""
        job_id = self.job_id(content)
        known = self.queue.get(job_id)
        if known is not None and known.state is not State.FAILED:
            return known
        if not self.has_room():
            raise Full
        try:
            _write_durably(self.path(job_id), content)
        except OSError:
            raise Full from None
        job = self.queue.add(job_id)
        self.arrived()
        return job


def _write_durably(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{threading.get_ident()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        on_disk(partial)
        os.replace(partial, path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise
    on_disk(path.parent)
