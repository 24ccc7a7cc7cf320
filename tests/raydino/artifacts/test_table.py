from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from raydino.artifacts import table
from raydino.artifacts.table import Column, Table
from raydino.errors import UserError

STRICT = Table(
    "films",
    (
        Column("name", "string"),
        Column("note", "string", nullable=True),
        Column("count", "int"),
        Column("size", "float", nullable=True),
        Column("good", "bool"),
    ),
)
OPEN = Table("labels", (Column("name", "string"),), others="float")


def frame() -> pd.DataFrame:
    columns = {"size": [1.5, None], "name": ["a", "b"], "note": [None, "x"], "count": [1, 2], "good": [True, False]}
    return pd.DataFrame(columns)


def test_a_round_trip_keeps_order_types_and_nulls(tmp_path: Path) -> None:
    STRICT.write(frame(), tmp_path / "t.parquet")
    back = STRICT.read(tmp_path / "t.parquet")
    assert list(back.columns) == ["name", "note", "count", "size", "good"]
    assert back["note"].tolist() == [None, "x"]
    assert back["size"].isna().tolist() == [False, True]
    assert back["count"].tolist() == [1, 2]


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    STRICT.write(frame(), tmp_path / "a.parquet")
    STRICT.write(frame()[["good", "count", "note", "size", "name"]], tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_columns_are_checked_both_ways(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the films table lacks the column 'count'"):
        STRICT.write(frame().drop(columns="count"), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="unknown column 'extra'"):
        STRICT.write(frame().assign(extra=1), tmp_path / "t.parquet")
    OPEN.write(pd.DataFrame({"name": ["a"], "Edema": [None]}), tmp_path / "o.parquet")
    with pytest.raises(UserError, match="lacks the column 'note'"):
        STRICT.read(tmp_path / "o.parquet")


@pytest.mark.parametrize("change", [{"name": [None, "b"]}, {"count": [1, None]}, {"name": [1, 2]}])
def test_nulls_and_wrong_types_where_none_may_be_are_our_fault(tmp_path: Path, change: dict[str, list[object]]) -> None:
    with pytest.raises((TypeError, ValueError)):
        STRICT.write(frame().assign(**change), tmp_path / "t.parquet")


def test_further_columns_have_one_kind(tmp_path: Path) -> None:
    OPEN.write(pd.DataFrame({"name": ["a", "b"], "Edema": [1, None], "Mass": [0, 1]}), tmp_path / "o.parquet")
    back = OPEN.read(tmp_path / "o.parquet")
    assert back["Mass"].dtype == float
    assert back["Edema"].isna().tolist() == [False, True]


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    STRICT.write(frame().iloc[:0], tmp_path / "t.parquet")
    assert list(STRICT.read(tmp_path / "t.parquet").columns) == ["name", "note", "count", "size", "good"]


def test_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("text")
    for name in ("t.parquet", "gone.parquet"):
        with pytest.raises(UserError, match="cannot be read as parquet"):
            STRICT.read(tmp_path / name)


def test_rows_one_by_one_are_the_frame_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROW_GROUP_ROWS", 3)
    rows = [{"size": i / 2 if i else None, "name": f"n{i}", "note": None, "count": i, "good": i > 2} for i in range(7)]
    for name in ("a", "b"):
        with STRICT.writer(tmp_path / f"{name}.parquet") as writer:
            for row in rows:
                writer.append(row)  # type: ignore[arg-type]
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.num_row_groups == 3
    STRICT.write(pd.DataFrame(rows), tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(STRICT.read(tmp_path / "a.parquet"), STRICT.read(tmp_path / "whole.parquet"))


def test_a_writer_without_rows_and_with_further_columns(tmp_path: Path) -> None:
    with OPEN.writer(tmp_path / "o.parquet", ["Edema"]):
        pass
    assert list(OPEN.read(tmp_path / "o.parquet").columns) == ["name", "Edema"]
    with pytest.raises(UserError, match="unknown column 'extra'"):
        STRICT.writer(tmp_path / "t.parquet", ["extra"])


@pytest.mark.parametrize("row", [{"name": "a"}, {"name": None, "Edema": 1}, {"name": 3, "Edema": 1}])
def test_a_row_that_does_not_fit_is_our_fault(tmp_path: Path, row: dict[str, str | float | None]) -> None:
    with pytest.raises(TypeError, match="labels table"), OPEN.writer(tmp_path / "o.parquet", ["Edema"]) as writer:
        writer.append(row)


def fail_while_writing(path: Path) -> None:
    with OPEN.writer(path) as writer:
        writer.append({"name": "a"})
        raise KeyError


def test_a_fault_while_writing_is_the_one_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        fail_while_writing(tmp_path / "o.parquet")
