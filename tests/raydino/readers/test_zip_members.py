from __future__ import annotations

import shutil
import subprocess
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from raydino.readers import zip_members as module
from raydino.readers.base import LocalFile, Opener
from raydino.readers.zip_members import ZipMember, zip_members


def opener_of(path: Path, name: str = "a") -> Opener:
    return dict(zip_members(LocalFile(path)))[name]


def reason(opener: Opener) -> str:
    try:
        opener()
    except OSError as error:
        return str(error.strerror)
    return "opened"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.zip"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_opened_by_their_offsets(method: int, path: Path) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        file.comment = b"with a comment"
        for name in ("b", "a", "folder/", "folder/c"):
            file.writestr(name, name.encode() * 5000)
    path.write_bytes(b"something in front, as a self-unpacking archive has" + path.read_bytes())
    members = list(zip_members(LocalFile(path)))
    assert [name for name, _ in members] == ["a", "b", "folder/c"]
    for name, opener in members:
        with opener() as file:
            assert file.read() == name.encode() * 5000
            assert file.seek(0) == 0


def test_a_bomb_is_refused_by_its_ratio(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", bytes(20 * 2**20))
        file.writestr("blank film", bytes(10 * 2**20))
    assert path.stat().st_size < 2**16
    assert reason(opener_of(path)) == "unpacks to more than 200 times its size, as a bomb does"
    assert len(opener_of(path, "blank film")().read()) == 10 * 2**20


def test_a_declared_size_beyond_the_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE_BYTES", 2**20)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", bytes(2**20 + 1))
    assert reason(opener_of(path)) == "larger than 1 MiB"


def test_a_member_that_declares_less_than_it_holds_takes_no_more_than_it_declares(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", bytes(100 * 2**20))
    honest = ZipMember(LocalFile(path), 0, path.stat().st_size, 1000, 0, deflated=True)
    tracemalloc.start()
    assert "not of the size that it declares" in reason(honest)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_damage_inside(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("a", b"film" * 100)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"filmfilm", b"filnfilm", 1))
    assert reason(opener_of(path)).startswith("broken inside the archive")
    member = opener_of(path)
    path.write_bytes(whole[:20])
    assert reason(member) == "the archive does not hold it"
    with pytest.raises(OSError, match="no list of its files"):
        list(zip_members(LocalFile(path)))


def test_broken_deflate(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", bytes(range(256)) * 10)
    content = bytearray(path.read_bytes())
    content[31:60] = b"\xff" * 29
    path.write_bytes(content)
    assert reason(opener_of(path)).startswith("broken inside the archive")


def test_other_methods_and_passwords(path: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a", b"x" * 100)
    assert reason(opener_of(path)) == "packed by another method than deflate"
    path.unlink()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", b"x")
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the local header …
    content[content.index(b"PK\1\2") + 8] |= 1  # … and in the list
    path.write_bytes(content)
    assert reason(opener_of(path)) == "encrypted with a password"


@pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP's zip is not installed")
def test_a_zip_that_was_streamed_by_info_zip(path: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"film" * 9000)
    done = subprocess.run(["zip", "-q", "-", "a"], cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    path.write_bytes(done.stdout)  # sizes stand behind the data: the local header has none
    assert opener_of(path)().read() == b"film" * 9000
