"""The working directory ``.OUT.ingest`` beside OUT: what a stopped run leaves for the next one to go on with.

It holds the source's own names, so only its owner may read it, and it goes when the dataset is there.
One run at a time has it (a lock that the kernel lifts with the process). The spool reaches the disk
before the journal's rows that point into it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from raydino.dicom.journal import Journal
from raydino.dicom.spool import Spool
from raydino.errors import UserError
from raydino.tracking import console

_COMMIT_SECONDS = 1.0  # what a kill can cost
_FULL = (errno.ENOSPC, errno.EDQUOT)
_OF_THE_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


class Workplace:
    """A context manager: entered, it is locked and its journal and spool are open."""

    def __init__(self, out: Path, settings: Mapping[str, str]) -> None:
        """``settings`` are all that the readings depend on; with others than before the work starts anew."""
        self.path = path_beside(out)
        self._out = out
        self._settings = settings
        self._is_done = False
        self._is_new = False
        self._made_parents: list[Path] = []
        self._committed = time.monotonic()

    def __enter__(self) -> Workplace:
        self._lock = self._locked()
        try:
            self.journal = self._opened_journal()
            self.spool = Spool(self.path / "spool", self.journal.spool_end)
        except BaseException:
            if self._is_new:
                self._remove()
            os.close(self._lock)
            raise
        return self

    def _opened_journal(self) -> Journal:
        path = self.path / "journal"
        journal, why = None, None
        try:
            journal = Journal(path)
            other = [name for name, value in self._settings.items() if journal.get(name) != value]
            if other and not journal.is_empty:
                why = f"was made with other {', '.join(other)}"
            elif journal.spool_end > _size(self.path / "spool"):
                why = "has lost films"
        except sqlite3.DatabaseError as error:
            if _is_of_the_disk(error):
                raise
            why = "has a broken journal"
        if why is not None or journal is None:
            if journal is not None:
                journal.close()
            console.print(f"{self.path} {why}: the work starts anew", highlight=False, soft_wrap=True)
            self._remove_files()
            journal = Journal(path)
        journal.set(self._settings)
        return journal

    def checkpoint(self, *, at_once: bool = False) -> None:
        """What was put and recorded until now stays, whatever happens; done about once a second."""
        if at_once or time.monotonic() - self._committed >= _COMMIT_SECONDS:
            self.spool.sync()
            self.journal.sql.commit()
            self._committed = time.monotonic()

    def done(self) -> None:
        """Nothing here is needed any more: on leaving, it goes."""
        self._is_done = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._is_done:
                with suppress(OSError, sqlite3.Error):
                    self.checkpoint(at_once=True)
            is_useless = self._is_done or _says_empty(self.journal)
            self.journal.close()
            self.spool.close()
            if is_useless:
                self._remove()
            elif kind in (KeyboardInterrupt, SystemExit):
                told = f"{self.path} keeps what is done (it names patients): the same command goes on from there"
                console.print(told, highlight=False, soft_wrap=True)
        finally:
            os.close(self._lock)

    def _locked(self) -> int:
        self._made_parents = [parent for parent in self.path.parents if not parent.exists()]
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
                self._is_new = True
            if self.path.is_symlink() or not self.path.is_dir() or self.path.stat().st_uid != os.geteuid():
                raise UserError("is in the way: ingest works there", where=self.path, remedy="move it elsewhere")
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with suppress(FileNotFoundError):  # a run that ends takes it away with the directory
                    if os.path.samestat(os.fstat(lock), os.stat(self.path / "lock")):
                        return lock
            except BlockingIOError:
                os.close(lock)
                raise UserError("another ingest is making it", where=self._out, remedy="wait for its end") from None
            os.close(lock)

    def _remove_files(self) -> None:
        for name in ("journal", "journal-journal", "spool"):
            (self.path / name).unlink(missing_ok=True)

    def _remove(self) -> None:
        with suppress(OSError):
            self._remove_files()
            (self.path / "lock").unlink()
            for directory in (self.path, *self._made_parents):  # innermost first; one that holds OUT stays
                directory.rmdir()


def path_beside(out: Path) -> Path:
    """Where the working directory of ``out`` is."""
    return out.with_name(f".{out.name}.ingest")


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """A disk that is full or fails, wherever it strikes, becomes a UserError of one line."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # none of the system's, so none of the disk's
            raise
        what = "the disk is full" if error.errno in _FULL else f"cannot be written ({error.strerror or 'unknown'})"
    except sqlite3.DatabaseError as error:
        if not _is_of_the_disk(error):
            raise
        what = "the disk is full" if error.sqlite_errorcode == sqlite3.SQLITE_FULL else f"cannot be written ({error})"
    else:
        return
    remedy = "once that is mended the same command goes on where it was"
    raise UserError(what, where=out, remedy=remedy) from None


def _is_of_the_disk(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _OF_THE_DISK


def _says_empty(journal: Journal) -> bool:
    try:
        return journal.is_empty
    except sqlite3.Error:
        return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
