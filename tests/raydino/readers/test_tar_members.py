from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from raydino.readers import tar_members as module
from raydino.readers.archive_file import archive_images
from raydino.readers.base import LocalFile, Opener
from raydino.readers.tar_members import packed_tar_members, packing_of, tar_members


def write_tar(path: Path, sizes: dict[str, int], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for name, size in sizes.items():
            member = tarfile.TarInfo(name)
            member.size = size
            file.addfile(member, io.BytesIO(name[:1].encode() * size))
    return path


def members_of(path: Path) -> Iterator[tuple[str, Opener | bytes]]:
    with path.open("rb") as file:
        packing = packing_of(file.read(6))
    yield from packed_tar_members(LocalFile(path), packing) if packing else tar_members(LocalFile(path))


def read(path: Path) -> dict[str, bytes | str]:
    """All images' contents; for one that is refused, why."""
    found: dict[str, bytes | str] = {}
    for image in archive_images(LocalFile(path), ""):
        try:
            found[image.name] = image.content if image.content is not None else image.opener().read()  # type: ignore[misc]
        except OSError as error:
            found[image.name] = str(error.strerror)
    return found


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_members_as_they_lie(mode: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a", {"b": 3000, "a": 0, "x" * 300: 512}, mode)
    assert read(path) == {"b": b"b" * 3000, "a": b"", "x" * 300: b"x" * 512}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_truncated_archive_gives_what_comes_before_the_break(mode: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a", {"first": 2000, "second": 2000, "third": 2000}, mode)
    content = gzip.decompress(path.read_bytes()) if mode == "w:gz" else path.read_bytes()
    cut = content[: 512 + 2048 + 512 + 1000]  # within the second
    path.write_bytes(gzip.compress(cut) if mode == "w:gz" else cut)
    found = read(path)
    assert found.pop("first") == b"f" * 2000
    assert found.pop("(the rest)") == "the archive is truncated or damaged"
    assert found in ({}, {"second": "the archive ends inside it"})


def test_a_gzip_stream_that_breaks_off(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a", {"first": 2000, "second": 10**6}, "w:gz")
    path.write_bytes(path.read_bytes()[:-200])
    assert read(path) == {"first": b"f" * 2000, "(the rest)": "the archive is truncated or damaged"}


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_header_is_not_the_end(packed: bool, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a", {"first": 512, "second": 512, "third": 512})
    content = bytearray(path.read_bytes())
    content[1024:1100] = b"\xff" * 76
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read(path) == {"first": b"f" * 512, "(the rest)": "the archive is truncated or damaged"}


def test_an_archive_without_an_end_mark_may_have_been_cut(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a", {"first": 512})
    path.write_bytes(path.read_bytes()[:1024])
    assert read(path).keys() == {"first", "(the rest)"}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_member_beyond_the_limit_is_one_row(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE_BYTES", 2**20)
    path = write_tar(tmp_path / "a", {"huge": 5 * 2**20, "good": 10}, mode)
    assert read(path) == {"huge": "larger than 1 MiB", "good": b"g" * 10}


def test_a_bomb_ends_the_archive_without_taking_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE_BYTES", 2**20)
    monkeypatch.setattr(module, "HARMLESS_BYTES", 8 * 2**20)
    path = write_tar(tmp_path / "a", {"good": 10, "huge": 50 * 2**20, "never": 10}, "w:gz")
    tracemalloc.start()
    found = read(path)
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()
    bomb = "the archive unpacks to more than 200 times its size, as a bomb does"
    assert found == {"good": b"g" * 10, "huge": "larger than 1 MiB", "(the rest)": bomb}


@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_is_a_bomb(packed: bool, tmp_path: Path) -> None:
    """tarfile reads long names and pax records whole."""
    path = tmp_path / "a"
    with tarfile.open(path, "w") as file:
        for name, kind in {"good": tarfile.REGTYPE, "long name": tarfile.GNUTYPE_LONGNAME}.items():
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, 100 * 2**20 if kind == tarfile.GNUTYPE_LONGNAME else 4
            file.addfile(member, io.BytesIO(bytes(member.size)))
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    tracemalloc.start()
    found = read(path)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
    assert found == {"good": bytes(4), "(the rest)": "the archive has a header that is none"}


def test_memory_does_not_grow_with_the_number_of_members(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a", {f"{number:05}": 1 for number in range(5000)})
    tracemalloc.start()
    assert sum(1 for _ in members_of(path)) == 5000
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
