"""Encoded films and masks on disk, until it is known which of them enter the dataset and in which order.

A file that only grows. Whatever stands in it beyond the last row of the ``journal`` is what a stopped
run didn't finish, and is cut off when the next one opens it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Span:
    """Bytes of the spool."""

    offset: int
    length: int


class Spool:
    """Raises OSError, and then nothing that was put before is lost."""

    def __init__(self, path: Path, end: int) -> None:
        """Open ``path`` and keep its first ``end`` bytes, of which there must be as many."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, end)
        self.end = end

    def put(self, content: bytes) -> Span:
        """Append and say where."""
        start, rest = self.end, memoryview(content)
        while rest:
            written = os.pwrite(self._file, rest, start + len(content) - len(rest))
            rest = rest[written:]
        self.end = start + len(content)
        return Span(start, len(content))

    def get(self, span: Span) -> bytes:
        """What was put."""
        content = bytearray()
        while len(content) < span.length:
            part = os.pread(self._file, span.length - len(content), span.offset + len(content))
            if not part:
                raise OSError(5, "the spool is shorter than the journal says")
            content += part
        return bytes(content)

    def sync(self) -> None:
        """Everything that was put is on the disk when this returns."""
        os.fsync(self._file)

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)
