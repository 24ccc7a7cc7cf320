"""Parquet tables with named, typed columns that are checked when written and when read.

``Table.write`` takes a whole frame; ``Table.writer`` takes rows one by one and keeps few of them in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from raydino.errors import UserError

Kind = Literal["string", "int", "float", "bool"]
Cell = str | float | bool | None
ROW_GROUP_ROWS = 4096  # fixed, so that equal rows give equal bytes
_ARROW = {"string": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


@dataclass(frozen=True)
class Column:
    """One column. Only ``nullable`` columns may hold nulls (NaN in floats, None in strings)."""

    name: str
    kind: Kind
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A table's fixed columns; ``others`` is the kind of any further columns, None for none."""

    name: str
    columns: tuple[Column, ...]
    others: Kind | None = None

    def _arrow_schema(self, extra: Sequence[str]) -> pa.Schema:
        fields = [pa.field(c.name, _ARROW[c.kind], nullable=c.nullable) for c in self.columns]
        fields += [pa.field(name, _ARROW[self.others or "string"], nullable=True) for name in extra]
        return pa.schema(fields)

    def _check(self, names: Sequence[str], where: object) -> list[str]:
        fixed = [c.name for c in self.columns]
        missing = [name for name in fixed if name not in names]
        if missing:
            raise UserError(
                f"the {self.name} table lacks the column {missing[0]!r}",
                where=where,
                remedy=f"needed: {', '.join(fixed)}; found: {', '.join(names)}",
            )
        extra = [name for name in names if name not in fixed]
        if extra and self.others is None:
            raise UserError(f"the {self.name} table has an unknown column {extra[0]!r}", where=where)
        return extra

    def write(self, frame: pd.DataFrame, path: Path) -> None:
        """Write ``frame`` to ``path`` with the table's column order and types."""
        extra = self._check(list(frame.columns), path)
        schema = self._arrow_schema(extra)
        try:
            table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise TypeError(f"{self.name} table: {error}") from error
        pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")

    def writer(self, path: Path, extra: Sequence[str] = ()) -> TableWriter:
        """A writer of rows to ``path``; ``extra`` names the further columns."""
        self._check([*(c.name for c in self.columns), *extra], path)
        return TableWriter(self.name, self._arrow_schema(extra), path)

    def read(self, path: Path) -> pd.DataFrame:
        """Read ``path`` and check its columns. Null strings come as None, null floats as NaN."""
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(f"cannot be read as parquet ({error})", where=path) from None
        self._check(table.column_names, path)
        frame = table.to_pandas()
        for column in self.columns:
            if column.kind == "string":
                frame[column.name] = frame[column.name].astype(object).where(frame[column.name].notna(), None)
        return frame


class TableWriter:
    """Writes rows in the order in which they come; a context manager, and only its end makes the file whole."""

    def __init__(self, name: str, schema: pa.Schema, path: Path) -> None:
        self._name = name
        self._schema = schema
        self._rows: list[Mapping[str, Cell]] = []
        self._file = pq.ParquetWriter(path, schema, compression="zstd")

    def append(self, row: Mapping[str, Cell]) -> None:
        """Add one row, a cell for each column."""
        if row.keys() != set(self._schema.names):
            raise TypeError(f"{self._name} table: a row of {', '.join(row)}")
        self._rows.append(row)
        if len(self._rows) == ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        try:
            # NaN counts as null, as it does in ``Table.write``
            arrays = [pa.array([row[f.name] for row in self._rows], f.type, from_pandas=True) for f in self._schema]
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise TypeError(f"{self._name} table: {error}") from error
        for column, array in zip(self._schema, arrays, strict=True):
            if array.null_count and not column.nullable:
                raise TypeError(f"{self._name} table: {column.name} holds nulls")
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=ROW_GROUP_ROWS)
        self._rows.clear()

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            if self._rows:
                self._flush()
            self._file.close()
        else:
            with suppress(OSError):  # the first fault is the one to tell
                self._file.close()
