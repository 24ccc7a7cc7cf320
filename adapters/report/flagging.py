"""Predicted reports beside a classifier's predictions of the same films: which sentences contradict it.

``contradictions.parquet`` joins the predictions artifact, a row a flagged sentence; ``n_contradictions`` joins each
film's row, null for a film that the classifier did not predict. Neighbour: contradictions (the rule).
"""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from adapters.report.contradictions import Finding, contradictions
from raydino.artifacts.predictions import TABLES, Predictions
from raydino.artifacts.table import Column, Table
from raydino.errors import UserError

CONTRADICTIONS = Table(
    "contradictions",
    (
        Column("sample_id", "string"),
        Column("sentence", "string"),
        Column("label", "string"),  # the classifier's
        Column("said", "string"),  # by the text: present or absent
        Column("score", "float"),  # the classifier's probability, 0..1
        Column("threshold", "float"),  # its operating point
    ),
)


def findings_by_film(predictions: Predictions) -> dict[str, dict[str, Finding]]:
    """What a classifier says of each film, by label. Raises UserError for predictions of another task."""
    if predictions.task != "classification":
        raise UserError(
            f"holds predictions of {predictions.task}, not of findings",
            where=predictions.path,
            remedy="give --findings what raydino adapt predict made with a classification adapter",
        )
    films: dict[str, dict[str, Finding]] = {}
    columns = ("sample_id", "label", "score", "threshold")
    for sample_id, label, score, threshold in predictions.table[list(columns)].itertuples(index=False):
        films.setdefault(sample_id, {})[label] = Finding(score, None if math.isnan(threshold) else threshold)
    return films


def flag(directory: Path, films: dict[str, dict[str, Finding]]) -> int:
    """Complete the report predictions being written in ``directory``; returns the number of flagged sentences."""
    path = directory / "predictions.parquet"
    table = TABLES["report"].read(path)
    unknown = [sample_id for sample_id in table["sample_id"] if sample_id not in films]
    if len(unknown) == len(table):
        raise UserError("--findings holds none of these films", remedy="predict the same split with both adapters")
    found = {
        sample_id: contradictions(text, films[sample_id])
        for sample_id, text in zip(table["sample_id"], table["text"], strict=True)
        if sample_id in films
    }
    rows = [
        (sample_id, c.sentence, c.label, c.said.name.lower(), c.finding.probability, c.finding.threshold)
        for sample_id, flagged in found.items()
        for c in flagged
    ]
    frame = pd.DataFrame(rows, columns=[column.name for column in CONTRADICTIONS.columns])
    CONTRADICTIONS.write(frame, directory / "contradictions.parquet")
    counts = [float(len(found[s])) if s in found else math.nan for s in table["sample_id"]]
    TABLES["report"].write(table.assign(n_contradictions=counts), path)
    return len(rows)
