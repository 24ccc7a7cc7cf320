"""fsspec's file systems: ``memory://`` stands for a cloud, ``file://`` for itself."""

from __future__ import annotations

import errno
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, SourceGone, open_reader
from raydino.readers.remote import Remote, RemoteFile


@pytest.fixture
def bucket() -> Iterator[Any]:
    memory = fsspec.filesystem("memory")
    yield memory
    memory.rm("/", recursive=True)


def read(source: str) -> dict[str, bytes | None]:
    return {image.name: image.content for image in Remote(source, ReaderOptions()).images()}


def test_a_tree_in_memory_comes_with_its_bytes(bucket: Any) -> None:
    for name in ("b/IM1", "a.dcm", ".hidden/x", "DICOMDIR"):
        bucket.pipe(f"/films/{name}", name.encode())
    name, reader = open_reader("memory://films")
    assert (name, reader.total()) == ("remote", 2)
    assert read("memory://films/") == {"a.dcm": b"a.dcm", "b/IM1": b"b/IM1"}


def test_archives_in_a_bucket(bucket: Any, tmp_path: Path) -> None:
    (tmp_path / "films" / "ward").mkdir(parents=True)
    (tmp_path / "films" / "ward" / "a").write_bytes(b"film")
    for kind in ("zip", "tar", "gztar"):
        archive = Path(shutil.make_archive(str(tmp_path / "x"), kind, tmp_path / "films"))
        bucket.pipe(f"/top/{archive.name}", archive.read_bytes())
        assert read(f"memory://top/{archive.name}") == {"ward/a": b"film"}
    assert read("memory://top").keys() == {"x.zip/ward/a", "x.tar/ward/a", "x.tar.gz/ward/a"}


def test_a_file_too_large_for_memory_is_one_row(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raydino.readers.remote.LARGEST_FILE_BYTES", 2**20)
    bucket.pipe("/films/a", bytes(2**20 + 1))
    (image,) = Remote("memory://films", ReaderOptions()).images()
    assert (image.content, image.opener is not None) == (None, True)
    with pytest.raises(OSError, match="larger than 1 MiB"):
        image.opener()  # type: ignore[misc]


def test_file_addresses_are_local_paths(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a").write_text("x")
    (tmp_path / "films" / "loop").symlink_to(tmp_path / "films")
    name, reader = open_reader(f"file://{tmp_path}/films")
    assert [(image.name, image.path) for image in reader.images()] == [("a", tmp_path / "films" / "a")]
    assert (name, reader.total(), reader.notes) == ("remote", 1, ["1 links to folders were not followed"])
    archive = shutil.make_archive(str(tmp_path / "films"), "zip", tmp_path / "films")
    assert [image.name for image in Remote(f"file://{archive}", ReaderOptions()).images()] == ["a"]
    with pytest.raises(UserError, match="no such directory"):
        open_reader(f"file://{tmp_path}/gone")


def test_openers_of_other_file_systems_go_to_the_workers(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"film")
    opener = RemoteFile(DirFileSystem(str(tmp_path), LocalFileSystem()), "a")
    with pickle.loads(pickle.dumps(opener))() as file:  # noqa: S301
        assert file.read() == b"film"
        assert file.seek(1) == 1


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), OSError, "Permission denied"),
        (RuntimeError("the key is AKIA123"), OSError, "RuntimeError"),
        (ConnectionResetError(), SourceGone, "the storage stopped answering"),
        (TimeoutError(), SourceGone, "the storage stopped answering"),
    ],
)
def test_faults_in_opening(fault: Exception, kind: type[OSError], message: str) -> None:
    class Broken:
        def open(self, path: str, mode: str) -> None:
            raise fault

    with pytest.raises(kind) as told:
        RemoteFile(Broken(), "a")()
    assert told.value.strerror == message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("memory://nothing", "memory://nothing: no DICOM file found: nothing lies there"),
        ("nfs4://x", "no reader knows this kind of address"),
    ],
)
def test_what_is_not_there(source: str, message: str) -> None:
    with pytest.raises(UserError) as told:
        open_reader(source)
    assert message in str(told.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(UserError, match="s3:// needs a package that is not installed; pip install s3fs"):
        open_reader("s3://bucket/films")
