"""The films that a pretraining reads: all training films of a dataset, or what a selection keeps of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import read_header
from raydino.artifacts.selection import ROWS, SELECTION
from raydino.data.order import Order, ShuffledEpochs, WeightedEpochs
from raydino.errors import UserError


@dataclass(frozen=True)
class Pool:
    """``weights`` [n] of the draw, None for every film once an epoch; ``inputs`` is what a run's header records."""

    sample_ids: list[str]
    weights: npt.NDArray[np.float64] | None
    inputs: dict[str, str]

    @classmethod
    def of(cls, dataset: Dataset, selection: Path | None = None) -> Pool:
        """Training films of ``dataset``; val and test stay unseen.

        Raises UserError for a selection of another dataset, of nothing, or with films of other splits.
        """
        train = dataset.sample_ids("train")
        if selection is None:
            return cls(train, None, {})
        header = read_header(selection, SELECTION)
        if header.inputs.get("dataset") != dataset.header.fingerprint:
            raise UserError("a selection of another dataset", where=selection, remedy="run raydino curate again")
        rows = ROWS.read(selection / "selection.parquet")
        rows = rows[rows["selected"]].sort_values("sample_id")
        stray = set(rows["sample_id"]) - set(train)
        if stray:
            raise UserError(f"selects {min(stray)!r}, which is no training film of {dataset.path}", where=selection)
        if not (rows["weight"] > 0).any():
            raise UserError("selects no film", where=selection)
        weights = rows["weight"].to_numpy(float)
        inputs = {"selection": header.fingerprint}
        return cls(list(rows["sample_id"]), None if np.ptp(weights) == 0 else weights, inputs)

    def order(self, seed: int) -> Order:
        """Which of ``sample_ids`` stands at a position."""
        if self.weights is None:
            return ShuffledEpochs(len(self.sample_ids), seed)
        return WeightedEpochs(self.weights, seed)
