"""The continuous columns of a dataset: the age of its people, and its table of measurements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from raydino.artifacts.dataset import Dataset

AGE = "age_years"  # 90 is 90 or more: ages above are not told


def continuous_columns(dataset: Dataset) -> list[str]:
    """Columns of which some accepted film has a value; age first."""
    known_age = dataset.demographics[AGE].notna().any()
    measured = dataset.measurements
    return [AGE] * bool(known_age) + [name for name in measured.columns if measured[name].notna().any()]


def value_targets(dataset: Dataset, sample_ids: Sequence[str], columns: Sequence[str]) -> Tensor:
    """[N, L] float32 in the columns' own units, NaN unknown; a column that the dataset lacks is unknown throughout."""
    ids = list(sample_ids)
    frame = dataset.measurements.reindex(index=ids, columns=list(columns))
    if AGE in columns:
        frame[AGE] = dataset.demographics[AGE].reindex(ids)
    return torch.from_numpy(frame.to_numpy(dtype=np.float32, na_value=np.nan, copy=True))
