from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers.base import LocalFile, ReaderOptions
from raydino.readers.dicom_tree import DicomTree


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def refusals(reader: DicomTree) -> dict[str, str]:
    """Why each image that cannot be opened cannot."""
    told = {}
    for image in reader.images():
        try:
            opener = LocalFile(image.path) if image.path else image.opener
            if opener:
                opener().close()
        except OSError as error:
            told[image.name] = str(error.strerror)
    return told


def test_every_file_but_indexes_and_hidden_ones_in_order(tmp_path: Path) -> None:
    write(tmp_path, "b/IM1", "a.dcm", "b/c/x.txt", "DICOMDIR", "b/dicomdir", ".hidden", ".git/x")
    reader = DicomTree(str(tmp_path), ReaderOptions())
    images = list(reader.images())
    assert [image.name for image in images] == ["a.dcm", "b/IM1", "b/c/x.txt"]
    assert reader.total() == 3
    assert all(image.is_dicom and image.path == tmp_path / image.name for image in images)
    assert reader.notes == [
        "2 DICOMDIR indexes were left out; the films that they list are read as files",
        "2 hidden files or folders were left out",
    ]


def test_links(tmp_path: Path) -> None:
    write(tmp_path, "films/a", "films/b")
    root = tmp_path / "films"
    (root / "loop").symlink_to(root)
    (root / "linked").symlink_to("a")
    (root / "dead").symlink_to("nowhere")
    (root / "self").symlink_to("self")
    reader = DicomTree(str(root), ReaderOptions())
    assert [image.name for image in reader.images()] == ["a", "b", "dead", "linked", "self"]
    assert refusals(reader) == {"dead": os.strerror(2), "self": os.strerror(40)}
    assert reader.notes == ["1 links to folders were not followed"]


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    write(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    assert refusals(DicomTree(str(tmp_path), ReaderOptions())) == {"pipe": "neither a file nor a folder"}


def test_a_folder_that_cannot_be_listed_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "open/a", "shut/b")
    scandir = os.scandir

    def guarded(path: Path) -> object:  # tests may run as root, whom no folder is shut to
        if path.name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    reader = DicomTree(str(tmp_path), ReaderOptions())
    assert [image.name for image in reader.images()] == ["open/a", "shut"]
    assert refusals(reader) == {"shut": "the folder cannot be listed: Permission denied"}


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"r\xf6ntgen")).write_text("x")
    (image,) = DicomTree(str(tmp_path), ReaderOptions()).images()
    assert image.name == "r%F6ntgen/"
    assert image.path is not None
    assert image.path.read_text() == "x"


def test_archives_in_a_tree_are_opened(tmp_path: Path) -> None:
    write(tmp_path, "z", "not really.zip", "ward/b", "ward/a")
    shutil.make_archive(str(tmp_path / "films"), "gztar", tmp_path / "ward")
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as file:
        file.writestr("x/c", "c")
    reader = DicomTree(str(tmp_path), ReaderOptions())
    names = [image.name for image in reader.images()]
    assert sorted(names[:2]) == ["films.tar.gz/a", "films.tar.gz/b"]
    assert names[2:] == ["films.zip/x/c", "not really.zip", "ward/a", "ward/b", "z"]
    assert refusals(reader).keys() == {"not really.zip"}
    assert reader.total() is None


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no DICOM file found: the directory is empty"):
        DicomTree(str(tmp_path), ReaderOptions())
    write(tmp_path, ".hidden")
    with pytest.raises(UserError, match="nothing but 1 hidden files"):
        DicomTree(str(tmp_path), ReaderOptions())
