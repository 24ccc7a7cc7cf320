"""Every metric in every stratum and in everyone else, for all bootstrap replicates of one label.

Metrics of a kind are computed together by their ``Replicator``, a block of replicates at a time, so memory does
not grow with the number of replicates. Neighbours: ``metrics`` (the protocol), ``intervals`` (multiplicities).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bias_audit.metrics import Metric
from bias_audit.rows import Bools, Floats, LabelRows

Weights = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Replicates:
    """[strata, 1 + B] of one metric in each stratum and in everyone else; column 0 is the sample itself."""

    inside: Floats
    rest: Floats  # NaN where the metric's gaps are not tested


def replicate_all(
    data: LabelRows, metrics: Sequence[Metric], weights: Weights, wanted: Bools, block: int
) -> dict[str, Replicates]:
    """Replicates of each metric by name. ``weights`` [patients, 1 + B]; some metrics only of strata ``wanted``."""
    shape = (data.strata, weights.shape[1])
    result = {metric.name: Replicates(np.full(shape, np.nan), np.full(shape, np.nan)) for metric in metrics}
    if not len(data.patient):
        return result
    kinds = dict.fromkeys(metric.replicator for metric in metrics)
    replicators = [kind(data, [m for m in metrics if m.replicator is kind], wanted) for kind in kinds]
    for columns in _blocks(weights.shape[1], block):
        drawn = weights[:, columns].astype(np.float64)
        for replicator in replicators:
            for name, inside, rest in replicator(drawn):
                result[name].inside[:, columns] = inside
                result[name].rest[:, columns] = rest
    return result


def _blocks(columns: int, block: int) -> Iterator[slice]:
    return (slice(start, min(start + block, columns)) for start in range(0, columns, block))
