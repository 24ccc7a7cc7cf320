from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from raydino.artifacts import images
from raydino.artifacts.images import Location, ShardWriter, decode_png, encode_png, read_film
from raydino.errors import UserError


def films(count: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = (np.uint8, np.uint16)
    return {
        f"s{i}": rng.integers(0, np.iinfo(kinds[i % 2]).max, (9 + i, 7), dtype=kinds[i % 2], endpoint=True)
        for i in range(count)
    }


def write(directory: Path) -> dict[str, Location]:
    with ShardWriter(directory) as writer:
        return {name: writer.add(name, encode_png(film)) for name, film in films().items()}


def test_films_come_back_as_they_were(tmp_path: Path) -> None:
    locations = write(tmp_path)
    for name, film in films().items():
        back = read_film(tmp_path, locations[name])
        assert back.dtype == film.dtype
        np.testing.assert_array_equal(back, film)


def test_any_tar_and_png_tool_reads_the_shards(tmp_path: Path) -> None:
    locations = write(tmp_path)
    with tarfile.open(tmp_path / "shard-00000.tar") as tar:
        assert tar.getnames() == [f"{name}.png" for name in locations]
        for member, (name, location) in zip(tar, locations.items(), strict=True):
            assert (member.offset_data, member.size) == (location.offset, location.length)
            content = tar.extractfile(member).read()  # type: ignore[union-attr]
            film = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(film, films()[name])


def test_the_same_films_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    assert (tmp_path / "a" / "shard-00000.tar").read_bytes() == (tmp_path / "b" / "shard-00000.tar").read_bytes()


def test_a_new_shard_begins_when_one_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "SHARD_BYTES", 1500)
    locations = write(tmp_path)
    assert len({location.shard for location in locations.values()}) > 1
    for name, film in films().items():
        np.testing.assert_array_equal(read_film(tmp_path, locations[name]), film)


def test_broken_and_missing_shards(tmp_path: Path) -> None:
    location = write(tmp_path)["s1"]
    with pytest.raises(UserError, match="holds a broken film"):
        read_film(tmp_path, Location(location.shard, location.offset + 3, location.length))
    with pytest.raises(UserError, match="holds a broken film"):
        read_film(tmp_path, Location(location.shard, 10**9, 10))
    with pytest.raises(UserError, match=r"cannot be read .*run raydino ingest again"):
        read_film(tmp_path, Location("shard-00009.tar", 0, 10))
    colour = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    with pytest.raises(UserError, match="holds a broken film"):
        decode_png(colour, where="x")
