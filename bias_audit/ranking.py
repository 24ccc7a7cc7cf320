"""AUROC and average precision in every stratum for many replicates at once; ties exact, in float64.

Both need, at each film with the finding, the weight of films without it that score lower. Between two
neighbouring positives these need not be told apart: their weight is one sum of multiplicities, a row of a sparse
matrix [gaps between positives, patients]; running totals over the gaps are the weights below. One matrix
holds the rows of all strata.

Everyone else costs next to nothing for an AUROC. With U(a, b) the weighted count of pairs "positive of a above
negative of b", the rest r of stratum s has U(r, r) = U(all, all) - U(s, all) - U(all, s) + U(s, s).
Neighbours: ``auroc`` (one sample), ``metrics`` (the protocol).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

from bias_audit.auroc import auroc, average_precision, placements
from bias_audit.metrics import Metric, Replicator
from bias_audit.rows import Bools, Floats, Ints, LabelRows, Rows, Sparse
from bias_audit.sums import among, share


@dataclass(frozen=True)
class Stratum:
    """Positives [p] and negatives [q] of one stratum, and the gaps that the positives leave between negatives."""

    number: int
    positive: Ints  # [p] films, rising by score
    negative: Ints  # [q] films, rising by score
    low: Ints  # [p] the gap up to which negatives lie below the positive; gap 0 is empty
    high: Ints  # [p] the gap up to which they lie below or level
    gap: Ints  # [q] the gap of each negative, from 1
    level: Ints  # [p] the first positive of the same score

    @classmethod
    def of_films(cls, number: int, data: LabelRows) -> Stratum:
        """``data`` rises by score."""
        films = data.films_of(number)
        positive = data.rows.target[films] == 1
        pos, neg = films[positive], films[~positive]
        at, among_ = data.rows.score[pos], data.rows.score[neg]
        below, level = np.searchsorted(among_, at, "left"), np.searchsorted(among_, at, "right")
        ends = np.unique(np.concatenate([[0], below, level]))  # negatives before the end of each gap
        return cls(
            number,
            positive=pos,
            negative=neg,
            low=np.searchsorted(ends, below),
            high=np.searchsorted(ends, level),
            gap=np.searchsorted(ends, np.arange(len(neg)), "right"),
            level=np.searchsorted(at, at, "left"),
        )


class Ranked:
    """The wanted strata that hold both classes, everyone first, stacked so that one product serves all."""

    def __init__(self, data: LabelRows, wanted: Bools) -> None:
        numbers = np.union1d([0], np.flatnonzero(wanted))
        found = (Stratum.of_films(int(k), data) for k in numbers)
        self.data = data
        self.strata = [s for s in found if len(s.positive) and len(s.negative)]
        self.numbers = np.array([s.number for s in self.strata], np.int64)
        positives = np.array([0, *(len(s.positive) for s in self.strata)])
        gaps = np.array([0, *(int(max(s.gap.max(), s.high.max())) + 1 for s in self.strata)])
        self.start, first = np.cumsum(positives)[:-1], np.cumsum(gaps)
        self.of = np.repeat(np.arange(len(self.strata)), positives[1:])  # [p] the stratum of each positive
        self.zero, self.last = first[:-1], first[1:] - 1  # [strata] empty gap before the first, and highest gap
        self.low = self._stack([s.low + at for s, at in zip(self.strata, first, strict=False)])
        self.high = self._stack([s.high + at for s, at in zip(self.strata, first, strict=False)])
        self.level = self._stack([s.level + at for s, at in zip(self.strata, self.start, strict=True)])
        films = self._stack([s.positive for s in self.strata])
        self.patient, self.weight = data.patient[films], data.weights(films)[:, None]
        rows = self._stack([s.gap + at for s, at in zip(self.strata, first, strict=False)])
        films = self._stack([s.negative for s in self.strata])
        at = (rows, data.patient[films])
        self.negatives = sparse.csr_array((data.weights(films), at), shape=(first[-1], data.patients))

    @staticmethod
    def _stack(parts: Sequence[Ints]) -> Ints:
        return np.concatenate([np.zeros(0, np.int64), *parts])

    @cached_property
    def by_cell(self) -> tuple[Sparse, Sparse]:
        """Everyone's positives and negatives summed by cell: two matrices [cells, films]."""
        cells = self.data.cells
        return tuple(  # type: ignore[return-value]
            sparse.csr_array((np.ones(len(f)), (cells.of_film[f], np.arange(len(f)))), shape=(len(cells), len(f)))
            for f in (self.strata[0].positive, self.strata[0].negative)
        )


class Seen:
    """One block of b replicates as the positives of each stratum see it: who weighs how much, and who is below."""

    def __init__(self, ranked: Ranked, drawn: Floats) -> None:
        self.ranked, self.drawn = ranked, drawn
        self.total = np.cumsum(ranked.negatives @ drawn[: ranked.data.patients], axis=0)  # [gaps, b], over all strata
        self.weight = drawn[ranked.patient] * ranked.weight  # [p, b]
        self.positives = self.sum(self.weight)  # [strata, b]
        self.negatives = self.total[ranked.last] - self.total[ranked.zero]

    def sum(self, values: Floats) -> Floats:
        """[p, b] of positives → [strata, b]."""
        if not len(self.ranked.start):
            return np.zeros((0, self.drawn.shape[1]))
        return np.asarray(np.add.reduceat(values, self.ranked.start, axis=0))

    @cached_property
    def won(self) -> Floats:
        """[p, b] the weight of pairs that each positive wins against negatives of its stratum; a tie counts half."""
        total, ranked = self.total, self.ranked
        below = total[ranked.low]
        below += total[ranked.high]
        below *= 0.5
        below -= total[ranked.zero][ranked.of]
        below *= self.weight
        return below

    @cached_property
    def precision(self) -> Floats:
        """[p, b] positives among the films of the stratum that score as high as each positive, or higher."""
        ranked = self.ranked
        false = self.total[ranked.last][ranked.of] - self.total[ranked.low]
        reached = np.concatenate([np.zeros((1, self.weight.shape[1])), np.cumsum(self.weight, axis=0)])
        ends = reached[np.append(ranked.start[1:], len(self.weight))]
        true = ends[ranked.of] - reached[ranked.level]
        return np.nan_to_num(share(true, true + false))

    def pairs_of_the_rest(self, pairs: Floats) -> tuple[Floats, Floats]:
        """U(r, r) of the rest of each stratum, and the number of its pairs, from U(s, s) [strata, b]."""
        everyone, cells = self.ranked.strata[0], self.ranked.data.cells.in_strata
        of_positives, of_negatives = self.ranked.by_cell
        count = len(everyone.positive)
        running = np.concatenate([np.zeros((1, self.weight.shape[1])), np.cumsum(self.weight[:count], axis=0)])
        gaps = np.arange(everyone.gap.max() + 1)
        above = running[-1] - 0.5 * (
            running[np.searchsorted(everyone.low, gaps)] + running[np.searchsorted(everyone.high, gaps)]
        )
        lost = above[everyone.gap]
        data = self.ranked.data
        lost *= self.drawn[data.patient[everyone.negative]] * data.weights(everyone.negative)[:, None]
        by_positives = (cells @ (of_positives @ self.won[:count]))[self.ranked.numbers]
        by_negatives = (cells @ (of_negatives @ lost))[self.ranked.numbers]
        positives, negatives = self.positives[:1] - self.positives, self.negatives[:1] - self.negatives
        return pairs[:1] - by_positives - by_negatives + pairs, positives * negatives


class RankReplicator:
    """Replicates of all ``RankMetric`` of one label."""

    def __init__(self, data: LabelRows, metrics: Sequence[Metric], wanted: Bools) -> None:
        self.ranked = Ranked(data, wanted)
        self.metrics = [metric for metric in metrics if isinstance(metric, RankMetric)]

    def __call__(self, drawn: Floats) -> Iterator[tuple[str, Floats, Floats]]:
        """See ``metrics.Replicator``."""
        seen = Seen(self.ranked, drawn)
        for metric in self.metrics:
            inside, rest = (np.full((self.ranked.data.strata, drawn.shape[1]), np.nan) for _ in range(2))
            if self.ranked.strata:
                inside[self.ranked.numbers], rest[self.ranked.numbers] = metric.replicates(seen)
            yield metric.name, inside, rest


@dataclass(frozen=True)
class RankMetric(Metric):
    """A metric of the order of scores."""

    replicator: ClassVar[type[Replicator]] = RankReplicator

    @abstractmethod
    def replicates(self, seen: Seen) -> tuple[Floats, Floats]:
        """[strata of ``seen``, b] inside each and in the rest."""


@dataclass(frozen=True)
class Auroc(RankMetric):
    """Probability that a film with the finding scores above one without; a tie counts one half."""

    def __call__(self, rows: Rows) -> float:
        """The point estimate; NaN with one class."""
        return auroc(rows.score, rows.target > 0)

    def parts(self, rows: Rows) -> tuple[Floats, ...]:
        """Placements of the positives, and of the negatives."""
        positive = rows.target == 1
        placed = placements(rows.score, positive)
        return among(positive, placed), among(~positive, placed)

    def replicates(self, seen: Seen) -> tuple[Floats, Floats]:
        """Pairs won over pairs."""
        pairs = seen.sum(seen.won)
        return share(pairs, seen.positives * seen.negatives), share(*seen.pairs_of_the_rest(pairs))


@dataclass(frozen=True)
class AveragePrecision(RankMetric):
    """Precision at the score of each film with the finding, averaged over these films (scikit-learn's definition)."""

    def __call__(self, rows: Rows) -> float:
        """The point estimate; NaN without positives."""
        return average_precision(rows.score, rows.target > 0)

    def replicates(self, seen: Seen) -> tuple[Floats, Floats]:
        """No gap of it is tested, so nothing of the rest."""
        value = share(seen.sum(seen.weight * seen.precision), seen.positives)
        return value, np.full(value.shape, np.nan)


AUROC = Auroc(
    "auroc",
    "AUROC",
    "chance that a film with the finding scores higher than one without; no threshold involved",
    "higher",
    frozenset({"positive", "negative"}),
)
AUPRC = AveragePrecision(
    "auprc",
    "Average precision",
    "area under precision over sensitivity; of scores without skill it is the prevalence, so no gap is tested",
    "higher",
    frozenset({"positive", "negative"}),
    prevalence_free=False,
)
