"""The predictions artifact: what an adapter said of each film, in long form, ready to be audited.

``predictions.parquet`` has one of four layouts, named by the header's ``config.task``:
classification (a row a film and label), segmentation (a row a film and structure; the predicted
masks lie in ``masks/<structure>/<sample_id>.png``), regression (a row a film and measurement) and
report (a row a film).
``metrics.json`` holds the plain figures over all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from raydino.artifacts.header import Header, Schema, read_header
from raydino.artifacts.table import Column, Table
from raydino.errors import UserError

PREDICTIONS = Schema("predictions", 1)

_IDENTITY = (
    Column("sample_id", "string"),
    Column("patient_id", "string"),
    Column("split", "string"),
    Column("task", "string"),
)
TABLES = {
    "classification": Table(
        "predictions",
        (
            *_IDENTITY,
            Column("label", "string"),
            Column("target", "float", nullable=True),  # 1 / 0 / null = unknown
            Column("score", "float"),  # probability, 0..1
            Column("threshold", "float", nullable=True),  # operating point chosen on validation, 0..1; null = none
        ),
    ),
    "segmentation": Table(
        "predictions",
        (
            *_IDENTITY,
            Column("label", "string"),  # the structure
            Column("threshold", "float"),  # on the probability of each pixel, chosen on the validation split
            Column("dice", "float", nullable=True),  # null where no reference mask is known
            Column("iou", "float", nullable=True),
            Column("hd95_mm", "float", nullable=True),  # null also where the spacing is unknown or one mask is empty
            Column("assd_mm", "float", nullable=True),
        ),
    ),
    "regression": Table(
        "predictions",
        (
            *_IDENTITY,
            Column("label", "string"),  # the measurement: age_years, cardiothoracic_ratio
            Column("target", "float", nullable=True),  # in its own unit; null = unknown
            Column("prediction", "float"),
        ),
    ),
    "report": Table(
        "predictions",
        (*_IDENTITY, Column("text", "string"), Column("reference", "string", nullable=True)),
        # a pair for each finding of the dataset that the labeller knows: mention_<finding> is 1 / 0 in the
        # generated text, target_<finding> 1 / 0 / null = unknown in the dataset's labels; n_contradictions where
        # they stand beside a classifier's, with the flagged sentences in contradictions.parquet
        others="float",
    ),
}


@dataclass(frozen=True)
class Predictions:
    """A predictions artifact opened for reading."""

    path: Path
    header: Header
    table: pd.DataFrame

    @property
    def task(self) -> str:
        """classification, segmentation, regression or report."""
        return str(self.header.config["task"])

    @classmethod
    def open(cls, path: str | Path) -> Predictions:
        """Open and check header and table. Raises UserError for a task that has no layout."""
        header = read_header(path, PREDICTIONS)
        layout = TABLES.get(str(header.config.get("task")))
        if layout is None:
            raise UserError(
                f"its predictions are of an unknown task {header.config.get('task')!r}",
                where=path,
                remedy=f"known: {', '.join(TABLES)}",
            )
        return cls(Path(path), header, layout.read(Path(path) / "predictions.parquet"))
