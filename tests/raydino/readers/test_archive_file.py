"""Archives as sources: the same images as from the unpacked folder, and what an attacker packs."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers.archive_file import ArchiveFile, archive_images
from raydino.readers.base import LocalFile, ReaderOptions, SourceImage, open_reader
from raydino.readers.dicom_tree import DicomTree

FORMATS = {"zip": "zip", "tar": "tar", "gztar": "tar.gz", "bztar": "tar.bz2", "xztar": "tar.xz"}


def content_of(image: SourceImage) -> bytes | str:
    """The bytes, or why there are none; by way of another process where that is how it goes."""
    if image.content is not None:
        return image.content
    opener = pickle.loads(pickle.dumps(image.opener)) if image.opener else LocalFile(image.path or Path())  # noqa: S301
    try:
        with opener() as file:
            return file.read()
    except OSError as error:
        return f"refused: {error.strerror}"


def contents(path: Path) -> dict[str, bytes | str]:
    return {image.name: content_of(image) for image in archive_images(LocalFile(path), "")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "folder"
    for name in ("b/IM1", "a.dcm", "b/c/röntgen", "DICOMDIR", ".hidden", ".git/x", "empty"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 1000 if name != "empty" else b"")
    (root / os.fsdecode(b"r\xf6ntgen")).write_bytes(b"latin")
    return root


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_gives_what_its_folder_gives(kind: str, folder: Path, tmp_path: Path) -> None:
    if kind == "zip":  # no program writes such a name into a zip and says so
        (folder / os.fsdecode(b"r\xf6ntgen")).unlink()
    path = Path(shutil.make_archive(str(tmp_path / "films"), kind, folder))
    assert path.name == f"films.{FORMATS[kind]}"
    name, reader = open_reader(str(path))
    assert name == "archive"
    before = sorted(tmp_path.rglob("*"))
    read = {image.name: content_of(image) for image in reader.images()}
    unpacked = DicomTree(str(folder), ReaderOptions()).images()
    assert read == {image.name: content_of(image) for image in unpacked}
    assert sorted(tmp_path.rglob("*")) == before


def test_it_is_known_by_what_it_holds(folder: Path, tmp_path: Path) -> None:
    path = Path(shutil.make_archive(str(tmp_path / "films"), "gztar", folder)).rename(tmp_path / "films.zip")
    assert "a.dcm" in contents(path)
    other = str(shutil.copy(path, tmp_path / "films.bin"))
    assert not ArchiveFile.recognises(other)
    assert len(list(open_reader(other, "archive")[1].images())) == 5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.zip", b"PK\3\4 and nothing more", "truncated or damaged: it has no list of its files"),
        ("a.zip", b"no archive at all" * 99, "truncated or damaged"),
        ("a.tar", b"", "truncated or damaged"),
        ("a.tgz", b"\x1f\x8b\x08\0 broken", "truncated or damaged"),
    ],
)
def test_no_archive(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as told:
        open_reader(str(tmp_path / name))
    assert "\n" not in str(told.value)


def test_an_empty_archive(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    with pytest.raises(UserError, match="the archive is empty"):
        open_reader(str(tmp_path / "a.zip"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_names_and_kinds_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("../../etc/cron", "/etc/passwd", "a/../../b", "good", "good", "inner.zip", "./dotted"):
            file.writestr(name, b"x")
        link = zipfile.ZipInfo("link")
        link.external_attr = (0o120777) << 16
        file.writestr(link, "/etc/passwd")
        device = zipfile.ZipInfo("device")
        device.external_attr = (0o020666) << 16
        file.writestr(device, "")
    outside = "refused: its name leads out of the archive"
    assert contents(path) == {
        "../../etc/cron": outside,
        "/etc/passwd": outside,
        "a/../../b": outside,
        "device": "refused: neither a file nor a folder",
        "dotted": b"x",
        "good": b"x",
        "good#2": b"x",
        "inner.zip": "refused: an archive within an archive",
        "link": "refused: a link inside an archive",
    }
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_hostile_names_and_kinds_in_a_tar(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for name in ("../../etc/cron", "/etc/passwd", "good", "good", "inner.tgz", "./dotted"):
            member = tarfile.TarInfo(name)
            member.size = 1
            file.addfile(member, io.BytesIO(b"x"))
        for name, kind in {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "dev": tarfile.CHRTYPE}.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            file.addfile(member)
    outside, link = "refused: its name leads out of the archive", "refused: a link inside an archive"
    assert contents(path) == {
        "../../etc/cron": outside,
        "/etc/passwd": outside,
        "good": b"x",
        "good#2": b"x",
        "inner.tgz": "refused: an archive within an archive",
        "dotted": b"x",
        "sym": link,
        "hard": link,
        "dev": "refused: neither a file nor a folder",
    }
    assert list(tmp_path.iterdir()) == [path]


def test_names_in_a_zip_without_the_utf8_flag(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("rXYntgen", b"as Info-ZIP writes it on Linux")
        file.writestr("lXtin", b"as on Windows")
    content = path.read_bytes().replace(b"rXYntgen", "röntgen".encode()).replace(b"lXtin", b"l\x84tin")
    path.write_bytes(content)
    assert contents(path).keys() == {"röntgen", "l%84tin/"}
