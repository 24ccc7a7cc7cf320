"""BLEU-1 to BLEU-4 (Papineni et al. 2002): clipped n-gram precision with a penalty for brevity.

The counts of a corpus are the sums over its films, so a film is kept as its counts: any resampling of films
is then a weighted sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.report.metrics.words import MAX_ORDER, ngrams

Floats = npt.NDArray[np.float64]
N_COUNTS = 2 * MAX_ORDER + 2


class BleuCounts(NamedTuple):
    """Leading axes are films or resamplings; ``matches`` and ``totals`` end in one place an order."""

    matches: Floats  # n-grams of the draft that the reference has, each at most as often as the reference
    totals: Floats  # n-grams of the draft
    length: Floats  # words of the draft
    reference_length: Floats

    @classmethod
    def of(cls, draft: list[str], reference: list[str]) -> BleuCounts:
        """The counts of one film."""
        matches, totals = np.zeros(MAX_ORDER), np.zeros(MAX_ORDER)
        for order in range(1, MAX_ORDER + 1):
            found = ngrams(draft, order)
            matches[order - 1] = (found & ngrams(reference, order)).total()
            totals[order - 1] = found.total()
        return cls(matches, totals, np.array(float(len(draft))), np.array(float(len(reference))))

    @classmethod
    def stacked(cls, films: Sequence[BleuCounts]) -> BleuCounts:
        """[N] films as one."""
        sizes = ((-1, MAX_ORDER), (-1, MAX_ORDER), (-1,), (-1,))
        return cls(*(np.array([film[i] for film in films]).reshape(size) for i, size in enumerate(sizes)))

    def weighted(self, weights: Floats) -> BleuCounts:
        """[R] corpora from these N films and ``weights`` [R, N]."""
        return BleuCounts(*(weights @ counts for counts in self))


def corpus_bleu(counts: BleuCounts) -> Floats:
    """[…, MAX_ORDER] BLEU-1 to BLEU-4, 0..1; 0 from the first order on that has no match."""
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(counts.totals > 0, counts.matches / counts.totals, 0.0)
        return _brevity(counts)[..., None] * np.exp(_running_mean(np.log(precision)))


def sentence_bleu(draft: list[str], reference: list[str]) -> Floats:
    """[MAX_ORDER] BLEU-1 to BLEU-4 of one text, 0..1, smoothed so that one missing order is not 0.

    An order without a match counts as half, a quarter, … of one match (Chen and Cherry 2014, method 3);
    orders longer than the draft are left out. sacrebleu's sentence BLEU is the same. 0 where no word matches.
    """
    counts = BleuCounts.of(draft, reference)
    if not counts.matches[0]:
        return np.zeros(MAX_ORDER)
    n_orders = min(MAX_ORDER, len(draft))
    matches, halving = counts.matches[:n_orders].copy(), 1.0
    for place in np.flatnonzero(matches == 0):
        halving /= 2
        matches[place] = halving
    means = _running_mean(np.log(matches / counts.totals[:n_orders]))
    return _brevity(counts) * np.exp(np.append(means, np.full(MAX_ORDER - n_orders, means[-1])))


def _running_mean(values: Floats) -> Floats:
    return values.cumsum(axis=-1) / np.arange(1, values.shape[-1] + 1)


def _brevity(counts: BleuCounts) -> Floats:
    """exp(1 - r/c) where the drafts are shorter than the references, else 1; 0 without any word."""
    length = np.maximum(counts.length, 1e-300)
    return np.where(counts.length > 0, np.exp(np.minimum(0.0, 1 - counts.reference_length / length)), 0.0)
