"""CIDEr and CIDEr-D (Vedantam et al. 2015): likeness of n-grams weighted by how rare they are among references.

What every report says ("no pleural effusion") weighs little, what few say weighs much. The paper's CIDEr is
the mean cosine over n = 1 to 4. CIDEr-D takes each weight of the draft at most as large as the reference's
and lowers the score of a draft of another length; the COCO caption evaluation calls that "CIDEr", and
published figures of report generation are almost always it. Both are on its scale, 0..10.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.report.metrics.words import MAX_ORDER, Ngrams, ngrams

Floats = npt.NDArray[np.float64]
SIGMA = 6.0  # words: width of the length penalty of CIDEr-D
_SCALE = 10.0


class Cider(NamedTuple):
    """[N] scores, one a film; a corpus' score is their mean."""

    cider: Floats
    cider_d: Floats


def cider(drafts: Sequence[list[str]], references: Sequence[list[str]]) -> Cider:
    """Scores of each draft, with rarity counted over ``references``; NaN when there are fewer than two of them."""
    if len(references) < 2:
        return Cider(*np.full((2, len(references)), np.nan))
    similar = np.zeros((2, len(references)))
    for order in range(1, MAX_ORDER + 1):
        counted = [ngrams(reference, order) for reference in references]
        frequency = Counter(ngram for counts in counted for ngram in counts)
        for film, (draft, reference) in enumerate(zip(drafts, counted, strict=True)):
            said, wanted = (_weights(c, frequency, len(references)) for c in (ngrams(draft, order), reference))
            similar[:, film] += _cosines(said, wanted)
    lengths = np.array([len(draft) - len(ref) for draft, ref in zip(drafts, references, strict=True)])
    similar[1] *= np.exp(-(lengths**2) / (2 * SIGMA**2))
    return Cider(*(_SCALE * similar / MAX_ORDER))


def _weights(counts: Ngrams, frequency: Ngrams, n_documents: int) -> dict[tuple[str, ...], float]:
    """tf-idf; an n-gram that no reference has counts as rare as one that a single reference has."""
    return {ngram: count * math.log(n_documents / max(1, frequency[ngram])) for ngram, count in counts.items()}


def _cosines(said: dict[tuple[str, ...], float], wanted: dict[tuple[str, ...], float]) -> tuple[float, float]:
    """(cosine, cosine with the draft's weights at most the reference's); 0 where one of them has no weight."""
    norm = math.hypot(*said.values()) * math.hypot(*wanted.values())
    if norm == 0:
        return 0.0, 0.0
    shared = [(said[ngram], wanted[ngram]) for ngram in said.keys() & wanted.keys()]
    return math.fsum(a * b for a, b in shared) / norm, math.fsum(min(a, b) * b for a, b in shared) / norm
