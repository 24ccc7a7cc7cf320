"""Metrics that are functions of sums over films, and their replicates for all strata at once.

A replicate multiplies each patient's films; so a sum over a stratum's films is the product of a sparse
matrix [cells, patients] with the multiplicities, and everyone else is the total less the stratum. Metrics share
columns: true positives serve sensitivity and PPV. Neighbours: ``rates``, ``calibration`` and ``masks`` (the metrics).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bias_audit.metrics import Metric, Replicator
from bias_audit.rows import Bools, Floats, LabelRows, Rows


class SumReplicator:
    """Replicates of all ``SumMetric`` of one label."""

    def __init__(self, data: LabelRows, metrics: Sequence[Metric], wanted: Bools) -> None:
        self.data = data
        self.metrics = [metric for metric in metrics if isinstance(metric, SumMetric)]
        columns: list[Floats] = []
        seen: dict[bytes, int] = {}
        self.places: list[list[int]] = []  # of each metric, its columns among all
        for metric in self.metrics:
            places = []
            for column in metric.columns(data.rows):
                place = seen.setdefault(column.tobytes(), len(columns))
                if place == len(columns):
                    columns.append(column)
                places.append(place)
            self.places.append(places)
        self.count = len(columns)
        self.matrix = data.cell_sums(columns)

    def __call__(self, drawn: Floats) -> Iterator[tuple[str, Floats, Floats]]:
        """See ``metrics.Replicator``."""
        by_cell = (self.matrix @ drawn[: self.data.patients]).reshape(self.count, len(self.data.cells), -1)
        inside = [np.asarray(self.data.cells.in_strata @ by_cell[k]) for k in range(self.count)]
        for metric, places in zip(self.metrics, self.places, strict=True):
            sums = np.stack([inside[k] for k in places])
            rest = metric.combine(sums[:, :1] - sums) if metric.tested else np.full(sums.shape[1:], np.nan)
            yield metric.name, metric.combine(sums), rest


@dataclass(frozen=True)
class SumMetric(Metric):
    """A function of sums over films."""

    replicator: ClassVar[type[Replicator]] = SumReplicator

    @abstractmethod
    def columns(self, rows: Rows) -> Sequence[Floats]:
        """What is summed: k columns [n] without NaN."""

    @abstractmethod
    def combine(self, sums: Floats) -> Floats:
        """[k, …] sums of the columns → the metric […], NaN where undefined."""

    def __call__(self, rows: Rows) -> float:
        """The point estimate; NaN where it is undefined."""
        return float(self.combine(np.array([column.sum() for column in self.columns(rows)])))


@dataclass(frozen=True)
class MeanMetric(SumMetric):
    """The mean of ``values(rows)`` [n] over the films where it is not NaN; ``binary``: values are 0 or 1."""

    values: Callable[[Rows], Floats] = lambda rows: rows.target
    binary: bool = True

    def columns(self, rows: Rows) -> Sequence[Floats]:
        """The values, and which films count."""
        values = self.values(rows)
        return np.nan_to_num(values), (~np.isnan(values)).astype(np.float64)

    def combine(self, sums: Floats) -> Floats:
        """Sum over number."""
        return share(sums[0], sums[1])

    def parts(self, rows: Rows) -> tuple[Floats, ...]:
        """The values themselves."""
        return (self.values(rows),)

    @property
    def steps(self) -> bool:
        """A share does."""
        return self.binary


def share(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where the whole is 0."""
    shape = np.broadcast_shapes(np.shape(part), np.shape(whole))
    return np.divide(part, whole, out=np.full(shape, np.nan), where=np.asarray(whole) > 0)


def among(mask: Bools, values: Bools | Floats) -> Floats:
    """Values where ``mask`` holds, NaN elsewhere."""
    return np.where(mask, values.astype(np.float64), np.nan)
