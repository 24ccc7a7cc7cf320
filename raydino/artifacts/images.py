"""The image store: films as PNG members of plain tar shards, read at random by offset.

PNG holds 8 and 16 bit grayscale without loss, tar keeps a million films in some hundred files, and
both open with any tool. The manifest holds ``shard, offset, length`` of each film.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from raydino.errors import UserError

SHARD_BYTES = 256 * 2**20
# A film's noise leaves nothing to match, so none is sought: a quarter of the default's time, and smaller.
_FILM_PNG = (
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY),
)


@dataclass(frozen=True)
class Location:
    """Where a film's PNG bytes lie: shard file name, first byte and number of bytes."""

    shard: str
    offset: int
    length: int


class ShardWriter:
    """Appends films to ``directory/shard-00000.tar``, …; a new shard begins after SHARD_BYTES."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._tar: tarfile.TarFile | None = None
        self._shard = ""
        self._count = 0

    def add(self, sample_id: str, png: bytes) -> Location:
        """Append one encoded film."""
        if self._tar is None or self._tar.offset > SHARD_BYTES:
            self._start_shard()
        tar = self._tar
        assert tar is not None
        member = tarfile.TarInfo(f"{sample_id}.png")  # owner, mode and time stay at fixed defaults
        member.size = len(png)
        offset = tar.offset + tarfile.BLOCKSIZE
        tar.addfile(member, io.BytesIO(png))
        tar.members.clear()  # type: ignore[attr-defined]  # it would remember every film
        return Location(self._shard, offset, len(png))

    def _start_shard(self) -> None:
        self.close()
        self._shard = f"shard-{self._count:05d}.tar"
        self._count += 1
        self._tar = tarfile.open(self._directory / self._shard, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def close(self) -> None:
        """Finish the open shard."""
        if self._tar is not None:
            self._tar.close()
            self._tar = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_film(directory: Path, location: Location) -> npt.NDArray[np.uint8 | np.uint16]:
    """One film, [rows, cols], uint8 or uint16 as it was stored."""
    path = directory / location.shard
    try:
        with path.open("rb") as file:
            file.seek(location.offset)
            png = file.read(location.length)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path, remedy="run raydino ingest again") from None
    return decode_png(png, where=path)


def encode_png(film: npt.NDArray[np.uint8 | np.uint16]) -> bytes:
    """PNG bytes of a grayscale film, [rows, cols], uint8 or uint16."""
    return _encode(film, _FILM_PNG)


def encode_mask(mask: npt.NDArray[np.bool_]) -> bytes:
    """PNG bytes of a mask, [rows, cols], as 0 and 255."""
    return _encode(np.where(mask, 255, 0).astype(np.uint8), ())


def _encode(image: npt.NDArray[np.uint8 | np.uint16], options: Sequence[int]) -> bytes:
    done, buffer = cv2.imencode(".png", image, options)
    if not done:
        raise ValueError(f"cannot encode an array of {image.dtype} {image.shape} as PNG")
    return buffer.tobytes()


def decode_png(png: bytes, *, where: object) -> npt.NDArray[np.uint8 | np.uint16]:
    """The film in PNG bytes, [rows, cols], uint8 or uint16."""
    film = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) if png else None
    if film is None or film.ndim != 2:
        raise UserError("holds a broken film", where=where, remedy="run raydino ingest again")
    return film  # type: ignore[return-value]
