"""A zip or tar file (also tar.gz, .bz2, .xz), read where it lies: nothing is ever unpacked to disk.

The images are those that ``dicom_tree`` would give of the unpacked archive, under the same names, so
the dataset is the same. What an archive can do to harm (names that lead outside, links, devices,
bombs, passwords, archives within) becomes one row that says so. Neighbours: ``zip_members``,
``tar_members``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from raydino.errors import UserError
from raydino.readers.base import LocalFile, Opener, ReaderOptions, Refused, SourceImage, refuse_table
from raydino.readers.file_names import UniqueNames, is_hidden, is_index, leads_outside, portable
from raydino.readers.tar_members import packed_tar_members, packing_of, tar_members
from raydino.readers.zip_members import zip_members

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_REST = "(the rest)"


class ArchiveFile:
    """Implements ``Reader``. Zip members come in order of their names, tar members as they lie."""

    cohort = "dicom"

    def __init__(self, source: str, options: ReaderOptions) -> None:
        refuse_table("archive", options)
        self.labels: tuple[str, ...] = ()
        self.left_out: Mapping[str, str] = {}
        self.notes: Sequence[str] = ()
        self._archive = LocalFile(Path(source))
        require_readable(self._archive, source)

    @classmethod
    def recognises(cls, source: str) -> bool:
        return is_archive(source) and os.path.isfile(source)

    def total(self) -> int | None:
        return None

    def images(self) -> Iterator[SourceImage]:
        yield from archive_images(self._archive, "")


def is_archive(name: str) -> bool:
    """Whether a file of this name is opened as an archive."""
    return name.lower().endswith(SUFFIXES)


def require_readable(archive: Opener, source: str) -> None:
    """Raises UserError unless ``archive`` has a member that can be listed."""
    try:
        if next(_members(archive), None) is None:
            raise UserError("no DICOM file found: the archive is empty", where=source)
    except OSError as error:
        raise UserError(f"cannot be read as an archive ({error.strerror})", where=source) from None


def archive_images(archive: Opener, name: str) -> Iterator[SourceImage]:
    """The images of an archive, called ``name/member``, or ``member`` where ``name`` is empty.

    A broken archive gives what comes before the break and then one row that is rejected.
    """
    prefix = f"{name}/" if name else ""
    names = UniqueNames()
    try:
        for member, source in _members(archive):
            own = member.removeprefix("./")
            if leads_outside(own):
                source = Refused("its name leads out of the archive")
            elif is_hidden(own) or is_index(own):
                continue
            elif is_archive(own):
                source = Refused("an archive within an archive")
            given = names.of(portable(prefix + own))
            if isinstance(source, bytes):
                yield SourceImage(given, content=source)
            else:
                yield SourceImage(given, opener=source)
    except OSError as error:
        yield SourceImage(names.of(portable(name or _REST)), opener=Refused(f"the archive {error.strerror}"))


def _members(archive: Opener) -> Iterator[tuple[str, Opener | bytes]]:
    """By what the file holds, not by its name. Raises OSError where it is broken."""
    with archive() as file:
        start = file.read(6)
    if start.startswith(b"PK"):
        yield from zip_members(archive)
    elif packing := packing_of(start):
        yield from packed_tar_members(archive, packing)
    else:
        yield from tar_members(archive)
