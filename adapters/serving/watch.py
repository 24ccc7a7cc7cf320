"""New chest films of a PACS, found by asking it again and again, and put into the intake.

The PACS is asked for the studies with radiographs of the last days; only where the number of a study's objects has
changed are they listed. Results are no radiographs (SEG, SR, DOC), so the room never reads its own. Which films were
taken stands in an SQLite file, as hashes of their UIDs: it survives a restart, and the films' removal after a while.
Neighbours: ``pacs``, ``intake``, ``rounds``.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

from adapters.serving.intake import Full
from adapters.serving.pacs import Pacs
from adapters.serving.rounds import Rounds
from raydino.errors import UserError
from raydino.readers.base import SourceGone
from raydino.readers.dimse_address import Instance

_PAUSE_SECONDS = 10.0
_FULL_SECONDS = 5.0
_TRIES = 3  # at a film that the PACS lists and does not give
_KEEP_DAYS = 400  # a hash, beyond the days that are watched
_LOG = logging.getLogger("raydino.serve")


class Receiver(Protocol):
    """What ``Intake`` is here."""

    def has_room(self) -> bool: ...

    def receive(self, content: bytes) -> object: ...


class SeenFilms:
    """Which films were taken, in the SQLite file ``path``. Raises UserError where it is none."""

    def __init__(self, path: Path, today: Callable[[], date] = date.today) -> None:
        self._today = today
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS seen (film BLOB PRIMARY KEY, day TEXT) WITHOUT ROWID")
            oldest = today() - timedelta(days=_KEEP_DAYS)
            self._connection.execute("DELETE FROM seen WHERE day < ?", (oldest.isoformat(),))
        except sqlite3.DatabaseError as error:
            raise UserError(f"cannot be used as the list of films seen ({error})", where=path) from None

    def __contains__(self, film: Instance) -> bool:
        return self._connection.execute("SELECT 1 FROM seen WHERE film = ?", (_hash(film),)).fetchone() is not None

    def add(self, film: Instance) -> None:
        """On the disk when this returns."""
        row = (_hash(film), self._today().isoformat())
        self._connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", row)


class Watch(Rounds):
    """A thread that takes films of studies made today and up to ``days`` before."""

    def __init__(
        self,
        pacs: Pacs,
        intake: Receiver,
        seen: SeenFilms,
        *,
        days: int = 1,
        pause_seconds: float = _PAUSE_SECONDS,
        today: Callable[[], date] = date.today,
    ) -> None:
        super().__init__("watch over the PACS", self.look, pause_seconds)
        self._pacs, self._intake, self._seen = pacs, intake, seen
        self._days, self._today = days, today
        self._counts: dict[str, int] = {}  # of studies that hold nothing new
        self._failures: dict[Instance, int] = {}

    def look(self) -> None:
        """Once over the studies. Raises SourceGone where the PACS serves nobody."""
        found = self._pacs.studies(self._today() - timedelta(days=self._days))
        self._counts = {study: count for study, count in self._counts.items() if study in found}
        for study, count in found.items():
            if count is not None and self._counts.get(study) == count:
                continue
            try:
                left = [film for film in self._pacs.films(study) if film not in self._seen and not self._take(film)]
            except SourceGone:
                raise
            except OSError:
                continue  # its films cannot be listed now
            if self.is_ending:
                return
            if not left and count is not None:
                self._counts[study] = count

    def _take(self, film: Instance) -> bool:
        """Whether nothing is left to do about it."""
        while not self._intake.has_room():
            self.wait(_FULL_SECONDS)
            if self.is_ending:
                return False
        if self.is_ending:
            return False
        if self._failures.get(film, 0) >= _TRIES:
            return True
        try:
            self._intake.receive(self._pacs.fetch(film))
        except Full:
            return False
        except SourceGone:
            raise
        except OSError as error:
            return self._not_given(film, error)
        self._seen.add(film)
        self._failures.pop(film, None)
        return True

    def _not_given(self, film: Instance, error: OSError) -> bool:
        """The PACS does not give it: after some tries it is left alone, until the next start."""
        self._failures[film] = self._failures.get(film, 0) + 1
        if self._failures[film] == _TRIES:
            _LOG.warning("watch over the PACS: a film is left out; %s", error.strerror)
        return self._failures[film] >= _TRIES


def _hash(film: Instance) -> bytes:
    return hashlib.sha256(film.uid.encode()).digest()
