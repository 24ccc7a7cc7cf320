"""The jobs of the reading room in an SQLite file: the one thing that it must not lose.

A job is one received file. It is written before the sender is told that the file has arrived, and what was being read
when the service was killed is read again. Neighbours: ``intake`` (adds), ``reading_room`` (reads), ``delivery``.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from raydino.errors import UserError

ATTEMPTS = 3  # a job that was being read when the service died as often is not tried again
_VERSION = 1


class State(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    READING = "reading"
    READ = "read"
    REFUSED = "refused"  # not a film that ingest would take, or that results can refer to
    FAILED = "failed"  # its file crashed or hung what read it, or the model failed on it


class Delivery(StrEnum):
    """Where its results are on their way into the PACS."""

    NONE = "none"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Job:
    """``id`` follows from the file and the model, ``result`` (the folder of its results) from film and model."""

    id: str
    state: State
    delivery: Delivery
    received: str  # ISO 8601, UTC
    attempts: int
    result: str | None = None
    reason: str | None = None  # one line, of its state or of its delivery


_COLUMNS = ", ".join(field.name for field in fields(Job))
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, delivery TEXT NOT NULL, received TEXT NOT NULL,
    attempts INTEGER NOT NULL, result TEXT, reason TEXT
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, sequence);
CREATE INDEX IF NOT EXISTS by_delivery ON jobs (delivery, sequence);
PRAGMA user_version = {_VERSION};
"""


class JobQueue:
    """Safe for use by several threads of one process; ``path`` is made where it is not there.

    Raises UserError where the file is no queue, or one of another version.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30.0)
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise UserError(f"is a queue of version {version}, and this raydino knows {_VERSION}", where=path)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk
            self._connection.executescript(_SCHEMA)
            self._connection.execute("UPDATE jobs SET state = 'waiting' WHERE state = 'reading'")
        except sqlite3.DatabaseError as error:
            raise UserError(f"cannot be used as the queue ({error})", where=path) from None

    def add(self, job_id: str) -> Job:
        """Put a job at the end. One that is there stays as it is, but a failed one gets another chance."""
        received = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._transaction() as do:
            do.execute(
                "INSERT INTO jobs (id, state, delivery, received, attempts) VALUES (?, 'waiting', 'none', ?, 0)"
                " ON CONFLICT (id) DO UPDATE SET state = 'waiting', attempts = 0, reason = NULL WHERE state = 'failed'",
                (job_id, received),
            )
        job = self.get(job_id)
        if job is None:
            raise RuntimeError("a job that was added is gone")
        return job

    def claim(self) -> Job | None:
        """The oldest job that waits, which is then being read; None where none waits."""
        with self._transaction() as do:
            row = do.execute("SELECT id, attempts FROM jobs WHERE state = 'waiting' ORDER BY sequence").fetchone()
            if row is None:
                return None
            do.execute("UPDATE jobs SET state = 'reading', attempts = attempts + 1 WHERE id = ?", (row[0],))
        return self.get(row[0])

    def finish(
        self, job_id: str, state: State, *, result: str | None = None, reason: str | None = None, deliver: bool = False
    ) -> None:
        """What became of it; ``deliver`` says that its results wait for the PACS now."""
        with self._transaction() as do:
            do.execute(
                "UPDATE jobs SET state = ?, result = ?, reason = ?, delivery = ? WHERE id = ?",
                (state, result, reason, Delivery.WAITING if deliver else Delivery.NONE, job_id),
            )

    def give_back(self, job_id: str, reason: str) -> None:
        """Let it wait again after a fault that may not be its own; after ``ATTEMPTS`` it has failed."""
        with self._transaction() as do:
            do.execute(
                "UPDATE jobs SET state = CASE WHEN attempts < ? THEN 'waiting' ELSE 'failed' END, reason = ?"
                " WHERE id = ?",
                (ATTEMPTS, reason, job_id),
            )

    def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        found = self._jobs("WHERE id = ?", job_id)
        return found[0] if found else None

    def newest(self, limit: int) -> list[Job]:
        """Newest first."""
        return self._jobs("ORDER BY sequence DESC LIMIT ?", limit)

    def undelivered(self) -> list[Job]:
        """Jobs whose results wait for the PACS, oldest first."""
        return self._jobs("WHERE delivery = 'waiting' ORDER BY sequence")

    def delivered(self, job_id: str) -> None:
        """Its results are in the PACS."""
        with self._transaction() as do:
            do.execute("UPDATE jobs SET delivery = 'done', reason = NULL WHERE id = ?", (job_id,))

    def undeliverable(self, job_id: str, reason: str) -> None:
        """The PACS refuses its results for good."""
        with self._transaction() as do:
            do.execute("UPDATE jobs SET delivery = 'failed', reason = ? WHERE id = ?", (reason, job_id))

    def finished_before(self, moment: str) -> list[Job]:
        """Jobs received before ``moment`` (ISO 8601, UTC) with which nothing is left to do."""
        return self._jobs(
            "WHERE received < ? AND state NOT IN ('waiting', 'reading') AND delivery != 'waiting' ORDER BY sequence",
            moment,
        )

    def uses(self, result: str) -> int:
        """How many jobs have that result."""
        with self._lock:
            return self._connection.execute("SELECT count(*) FROM jobs WHERE result = ?", (result,)).fetchone()[0]

    def forget(self, job_id: str) -> None:
        """Take it out."""
        with self._transaction() as do:
            do.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def counts(self) -> dict[State, int]:
        """Jobs by state, 0 included."""
        with self._lock:
            rows = self._connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
        return {state: dict(rows).get(state, 0) for state in State}

    def close(self) -> None:
        """Nothing can be asked of it afterwards."""
        with self._lock:
            self._connection.close()

    def _jobs(self, clause: str, *values: object) -> list[Job]:
        with self._lock:
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM jobs {clause}", values).fetchall()
        return [Job(row[0], State(row[1]), Delivery(row[2]), *row[3:]) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Whole or not at all, and on the disk at its end."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:  # a commit fails, too, where the disk is full
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
