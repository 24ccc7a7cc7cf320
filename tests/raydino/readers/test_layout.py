from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from raydino.errors import UserError
from raydino.readers.base import READERS, ReaderOptions
from raydino.readers.layout import counted, differences, files_below, find, places, require, require_columns


def test_here_or_one_level_below(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "table.csv").touch()
    (tmp_path / "b" / "deep" / "far.csv").touch()
    assert places(str(tmp_path)) == [tmp_path, tmp_path / "a", tmp_path / "b"]
    assert find(str(tmp_path), ("far.csv", "table.csv")) == tmp_path / "b" / "table.csv"
    assert find(str(tmp_path / "b"), ("table.csv",)) == tmp_path / "b" / "table.csv"
    assert require(str(tmp_path), ReaderOptions(), ("table.csv",), "table") == tmp_path / "b" / "table.csv"
    with pytest.raises(UserError, match="holds no table; wanted: x.csv or y.csv, here or one level below"):
        require(str(tmp_path), ReaderOptions(), ("x.csv", "y.csv"), "table")
    with pytest.raises(UserError, match="no such directory"):
        require(str(tmp_path / "gone"), ReaderOptions(), ("x.csv",), "table")
    with pytest.raises(UserError, match="--images-csv is for image files"):
        require(str(tmp_path), ReaderOptions(tmp_path / "b" / "table.csv"), ("table.csv",), "table")


def test_files_in_order(tmp_path: Path) -> None:
    for name in ("b/2.DCM", "a.dcm", "b/1.dcm", "b/.dcm", "b/._1.dcm", "x.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert list(files_below(tmp_path, (".dcm",))) == ["a.dcm", "b/1.dcm", "b/2.DCM"]


def test_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(columns=["a", "b"])
    require_columns(frame, tmp_path, ("b",))
    with pytest.raises(UserError, match="lacks a column c; found: a, b"):
        require_columns(frame, tmp_path, ("a", "c", "d"))


def test_what_differs() -> None:
    assert differences({"films": 12_046, "masks": 3}, {"films": 12_047, "masks": 3}) == [
        "12,046 films, but 12,047 were published"
    ]
    assert counted(0, "films") == []
    assert counted(1_000, "films") == ["1,000 films"]


@pytest.mark.parametrize("source", ["s3://bucket/films", "https://127.0.0.1/dicom-web", "", "\0", "/no/such"])
def test_no_reader_stumbles_over_an_address(source: str) -> None:
    for name in READERS.plugins():
        assert READERS.get(name).recognises(source) in (True, False)


def test_no_reader_claims_an_empty_or_a_forbidden_folder(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0)
    try:
        claimed = [name for name in READERS.plugins() if READERS.get(name).recognises(str(tmp_path))]
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert claimed == ["dicom"]
