from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from raydino.artifacts.header import Schema, creating, fingerprint, read_header, write_json
from raydino.errors import UserError

THING = Schema("thing", 2)


def make(target: Path, text: str = "content", **options: object) -> None:
    with creating(target, THING, **options) as directory:  # type: ignore[arg-type]
        (directory / "sub").mkdir()
        (directory / "sub" / "file").write_text(text)


def stop_half_way(target: Path, error: type[BaseException], *, overwrite: bool) -> None:
    with creating(target, THING, overwrite=overwrite) as directory:
        (directory / "half").write_text("half")
        raise error


def test_written_and_read_back(tmp_path: Path) -> None:
    make(tmp_path / "a", config={"x": 1}, seed=7, inputs={"dataset": "feed"})
    header = read_header(tmp_path / "a", THING)
    assert (header.schema, header.version, header.config, header.seed) == ("thing", 2, {"x": 1}, 7)
    assert header.inputs == {"dataset": "feed"}
    assert header.fingerprint == fingerprint(tmp_path / "a")
    assert read_header(tmp_path / "a") == header


def test_the_fingerprint_is_of_names_and_contents_only(tmp_path: Path) -> None:
    make(tmp_path / "a", config={"x": 1})
    make(tmp_path / "deeper" / "b", config={"x": 2})
    make(tmp_path / "c", "other content")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "deeper" / "b")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "c")
    (tmp_path / "a" / "sub" / "file").rename(tmp_path / "a" / "sub" / "renamed")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "deeper" / "b")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_nothing_new_and_the_old_untouched(tmp_path: Path, error: type[BaseException]) -> None:
    make(tmp_path / "old")
    before = sorted(tmp_path.rglob("*"))
    for target, overwrite in (("new", False), ("deep/er/new", False), ("old", True)):
        with pytest.raises(error):
            stop_half_way(tmp_path / target, error, overwrite=overwrite)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "old" / "sub" / "file").read_text() == "content"


def test_an_existing_target_is_refused_before_any_work(tmp_path: Path) -> None:
    make(tmp_path / "a")
    with pytest.raises(UserError, match="already exists; choose another --out or add --overwrite"):
        make(tmp_path / "a", "new")
    make(tmp_path / "a", "new", overwrite=True)
    assert (tmp_path / "a" / "sub" / "file").read_text() == "new"


def test_overwrite_never_removes_what_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").write_text("dear")
    with pytest.raises(UserError, match="not an artifact of raydino"):
        make(tmp_path / "home", overwrite=True)
    assert (tmp_path / "home" / "letter").read_text() == "dear"


def test_an_empty_directory_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    make(tmp_path / "a")
    assert read_header(tmp_path / "a", THING)


def test_what_a_run_killed_while_replacing_had_moved_away_comes_back(tmp_path: Path) -> None:
    make(tmp_path / "a", "old")
    before = fingerprint(tmp_path / "a")
    os.replace(tmp_path / "a", tmp_path / ".a.old-99999999")
    with pytest.raises(RuntimeError):
        stop_half_way(tmp_path / "a", RuntimeError, overwrite=True)
    assert fingerprint(tmp_path / "a") == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_run_left_is_removed_but_not_a_living_one(tmp_path: Path) -> None:
    dead, alive = tmp_path / ".a.partial-99999999", tmp_path / f".a.partial-{os.getppid()}"
    for path in (dead, alive):
        path.mkdir()
    make(tmp_path / "a")
    assert not dead.exists()
    assert alive.exists()


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the disk is full; nothing was left behind"), creating(tmp_path / "a", THING):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read(tmp_path: Path) -> None:
    make(tmp_path / "a")
    with pytest.raises(UserError, match="this is 'thing', not 'other'"):
        read_header(tmp_path / "a", Schema("other", 2))
    with pytest.raises(UserError, match="thing of schema version 2; this raydino reads version 3"):
        read_header(tmp_path / "a", Schema("thing", 3))
    with pytest.raises(UserError, match="no such directory; a thing directory is needed here"):
        read_header(tmp_path / "gone", THING)
    with pytest.raises(UserError, match="holds no artifact.json"):
        read_header(tmp_path, THING)
    for text in ("{", "[]", json.dumps({"schema": "thing"}), json.dumps({"surprise": 1})):
        (tmp_path / "a" / "artifact.json").write_text(text)
        with pytest.raises(UserError, match="cannot be read as a header"):
            read_header(tmp_path / "a", THING)


def test_json_has_one_form_and_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": "é"})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "a": "é",\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
