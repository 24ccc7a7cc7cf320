"""Members of a tar file: opened by their offset where it is not packed, else read in one pass.

A packed tar (gzip, bzip2, xz) cannot be entered in the middle, so its films' bytes are handed on as
they come, one at a time. Headers and sizes are held to limits, since an archive may lie about both.
Source: POSIX pax, IEEE 1003.1 (through the standard library).
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Literal, cast

from raydino.readers.base import LARGEST_FILE_BYTES, Opener, Refused

LARGEST_RATIO = 200  # of what has come out to what has gone in
HARMLESS_BYTES = 256 * 2**20
_HEADER_BYTES = 2**20  # names and pax records of one member, with room to spare
_MAGIC: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


@dataclass(frozen=True)
class TarMember:
    """Opens one member of a tar that is not packed, whole in memory."""

    archive: Opener
    offset: int
    bytes: int

    def __call__(self) -> BinaryIO:
        with self.archive() as file:
            file.seek(self.offset)
            content = file.read(self.bytes)
        if len(content) != self.bytes:
            raise OSError(errno.EIO, "the archive ends inside it")
        return io.BytesIO(content)


def packing_of(start: bytes) -> bytes | None:
    """The packing of a file that begins so, None where it is no packing of tar files."""
    return next((magic for magic in _MAGIC if start.startswith(magic)), None)


def tar_members(archive: Opener) -> Iterator[tuple[str, Opener]]:
    """Name and opener of every file, as they lie. Raises OSError where the archive is broken."""
    with archive() as file:
        for _, member in _each(_Rationed(file), "r:"):
            yield member.name, _refusal(member) or TarMember(archive, member.offset_data, member.size)


def packed_tar_members(archive: Opener, packing: bytes) -> Iterator[tuple[str, Opener | bytes]]:
    """Name and content of every file, as they lie. Raises OSError where the archive is broken."""
    with archive() as file, _MAGIC[packing](file) as unpacked:
        for tar, member in _each(_Rationed(unpacked, file), "r|"):
            refused = _refusal(member)
            if refused:
                yield member.name, refused
                continue
            with _damage_as_oserror():
                content = cast(IO[bytes], tar.extractfile(member)).read()
            yield member.name, content


def _refusal(member: tarfile.TarInfo) -> Refused | None:
    if member.issym() or member.islnk():
        return Refused("a link inside an archive")
    if not member.isreg() or member.issparse():
        return Refused("neither a file nor a folder")
    if member.size > LARGEST_FILE_BYTES:
        return Refused(f"larger than {LARGEST_FILE_BYTES // 2**20} MiB")
    return None


def _each(file: _Rationed, mode: Literal["r:", "r|"]) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Every member but folders. tarfile's own list of them is emptied: it would grow with the archive."""
    with _damage_as_oserror():
        opened = tarfile.open(fileobj=cast(IO[bytes], file), mode=mode, tarinfo=_Header, encoding="utf-8")  # noqa: SIM115
    with opened as tar:
        while True:
            with _damage_as_oserror():
                member = tar.next()
            if member is None:
                return
            tar.members.clear()  # type: ignore[attr-defined]
            # What may be read until the next member is known: this one's data and the next one's header.
            file.ration(member.size if mode == "r|" else 0)
            if not member.isdir():
                yield tar, member


@contextmanager
def _damage_as_oserror() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # gzip's own has no strerror
        raise error if error.strerror else OSError(errno.EIO, "is truncated or damaged") from None
    except (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, ValueError):
        raise OSError(errno.EIO, "is truncated or damaged") from None


class _Header(tarfile.TarInfo):
    """tarfile takes a damaged header for the end of the archive: films behind it would vanish silently."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError:
            raise tarfile.ReadError("damaged header, or no end mark") from None


class _Rationed:
    """A file that gives no more bytes than a header and its data need, and unpacks no bomb."""

    def __init__(self, file: IO[bytes], packed: BinaryIO | None = None) -> None:
        self._file = file
        self._packed = packed
        self._given = 0
        self.ration(0)

    def ration(self, data_bytes: int) -> None:
        """Allow ``data_bytes`` and a header after them."""
        self._allowed = data_bytes + _HEADER_BYTES

    def read(self, size: int) -> bytes:
        self._allowed -= size
        self._given += size
        if self._allowed < 0:
            raise OSError(errno.EIO, "has a header that is none")
        if self._packed and self._given > max(HARMLESS_BYTES, LARGEST_RATIO * self._packed.tell()):
            raise OSError(errno.EIO, f"unpacks to more than {LARGEST_RATIO} times its size, as a bomb does")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
