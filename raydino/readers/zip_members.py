"""Members of a zip file, each opened in a worker by its own offset, without the list of all others.

Sizes are believed only up to a limit and then checked: no member takes more memory than it declares,
and none declares more than ``LARGEST_FILE_BYTES``. Source: PKWARE's APPNOTE, 4.3.7 and 4.4.
"""

from __future__ import annotations

import errno
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from raydino.readers.base import LARGEST_FILE_BYTES, Opener, Refused

LARGEST_RATIO = 200  # of sizes; films reach 20
HARMLESS_BYTES = 16 * 2**20  # up to here any ratio will do: a blank film has 1000
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800


@dataclass(frozen=True)
class ZipMember:
    """Opens one member, whole in memory. Raises OSError where it is not what the archive says."""

    archive: Opener
    header_offset: int
    packed_bytes: int
    bytes: int
    crc32: int
    deflated: bool

    def __call__(self) -> BinaryIO:
        with self.archive() as file:
            file.seek(self.header_offset)
            header = file.read(_LOCAL_HEADER.size)
            if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
                raise OSError(errno.EIO, "the archive does not hold it")
            _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
            file.seek(name_bytes + extra_bytes, io.SEEK_CUR)
            packed = file.read(self.packed_bytes)
        try:
            content = (
                zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self.bytes + 1) if self.deflated else packed
            )
        except zlib.error:
            raise OSError(errno.EIO, "broken inside the archive") from None
        if len(content) != self.bytes or zlib.crc32(content) != self.crc32:
            raise OSError(errno.EIO, "broken inside the archive, or not of the size that it declares")
        return io.BytesIO(content)


def zip_members(archive: Opener) -> Iterator[tuple[str, Opener]]:
    """Name and opener of every file, in order of the names. Raises OSError on a broken archive."""
    try:
        with archive() as file, zipfile.ZipFile(file) as found:
            infos = found.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        raise OSError(errno.EIO, "is truncated or damaged: it has no list of its files") from None
    members = [(_name(info), _opener(archive, info)) for info in infos if not info.is_dir()]
    yield from sorted(members, key=lambda member: member[0])


def _name(info: zipfile.ZipInfo) -> str:
    """As unpacked on Linux. Without its flag a name's encoding is not stated; it is mostly UTF-8 nonetheless."""
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    return info.filename.encode("cp437").decode("utf-8", "surrogateescape")


def _opener(archive: Opener, info: zipfile.ZipInfo) -> Opener:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return Refused("a link inside an archive")
    if kind not in (0, stat.S_IFREG):
        return Refused("neither a file nor a folder")
    if info.flag_bits & _ENCRYPTED:
        return Refused("encrypted with a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return Refused("packed by another method than deflate")
    if max(info.file_size, info.compress_size) > LARGEST_FILE_BYTES:
        return Refused(f"larger than {LARGEST_FILE_BYTES // 2**20} MiB")
    if info.file_size > max(HARMLESS_BYTES, LARGEST_RATIO * info.compress_size):
        return Refused(f"unpacks to more than {LARGEST_RATIO} times its size, as a bomb does")
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    return ZipMember(archive, info.header_offset, info.compress_size, info.file_size, info.CRC, deflated)
