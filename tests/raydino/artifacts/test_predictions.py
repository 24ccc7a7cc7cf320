from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from raydino.artifacts.header import creating
from raydino.artifacts.predictions import PREDICTIONS, TABLES, Predictions
from raydino.errors import UserError

_FILLER = {"string": "x", "int": 1, "float": 0.5, "bool": True}


@pytest.mark.parametrize("task", sorted(TABLES))
def test_every_layout_comes_back(tmp_path: Path, task: str) -> None:
    table = TABLES[task]
    row = {column.name: None if column.nullable else _FILLER[column.kind] for column in table.columns}
    with creating(tmp_path / "p", PREDICTIONS, config={"task": task}) as directory:
        table.write(pd.DataFrame([row]), directory / "predictions.parquet")
    predictions = Predictions.open(tmp_path / "p")
    assert list(predictions.table.columns) == [column.name for column in table.columns]
    assert predictions.header.config["task"] == task


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with creating(tmp_path / "p", PREDICTIONS, config={"task": "classification"}) as directory:
        pd.DataFrame({"sample_id": ["a"], "patient_id": ["p"]}).to_parquet(directory / "predictions.parquet")
    with pytest.raises(UserError, match="the predictions table lacks the column 'split'"):
        Predictions.open(tmp_path / "p")
