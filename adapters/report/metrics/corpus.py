"""All text metrics of a set of drafts, with intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapters.report.metrics.bleu import BleuCounts, corpus_bleu
from adapters.report.metrics.cider import cider
from adapters.report.metrics.rouge import rouge_l
from adapters.report.metrics.words import MAX_ORDER, words

Floats = npt.NDArray[np.float64]
FIGURES = (*(f"bleu_{order}" for order in range(1, MAX_ORDER + 1)), "rouge_l", "cider", "cider_d")
N_RESAMPLINGS = 1000
_AT_A_TIME = 50  # of them, so that memory stays in proportion to the films
LEVEL = 0.95


class TextScores:
    """What the metrics need of N films: ``figures`` sums it up, under any weights of the films."""

    def __init__(self, drafts: Sequence[str], references: Sequence[str]) -> None:
        said, wanted = [words(text) for text in drafts], [words(text) for text in references]
        self._bleu = BleuCounts.stacked([BleuCounts.of(a, b) for a, b in zip(said, wanted, strict=True)])
        scores = cider(said, wanted)
        rouge = [rouge_l(a, b) for a, b in zip(said, wanted, strict=True)]
        self._means = np.array([rouge, scores.cider, scores.cider_d]).reshape(3, -1)

    def __len__(self) -> int:
        return len(self._bleu.length)

    def weighted(self, weights: Floats) -> Floats:
        """[R, len(FIGURES)] under ``weights`` [R, N]. The rarity of n-grams stays that of all N references."""
        bleu = corpus_bleu(self._bleu.weighted(weights))
        return np.concatenate([bleu, weights @ self._means.T / weights.sum(axis=1, keepdims=True)], axis=1)

    def figures(self) -> dict[str, float | None]:
        """Each figure over all films; None where it is undefined: without films, CIDEr also with a single one."""
        if not len(self):
            return dict.fromkeys(FIGURES)
        values = self.weighted(np.ones((1, len(self))))[0]
        return {name: float(v) if np.isfinite(v) else None for name, v in zip(FIGURES, values, strict=True)}

    def intervals(self, patients: Sequence[str], seed: int = 0) -> dict[str, tuple[float, float] | None]:
        """The middle LEVEL of N_RESAMPLINGS bootstrap figures, patients drawn with all their films.

        None where the figure is undefined or there are fewer than two patients.
        """
        names, owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
        if len(names) < 2:
            return dict.fromkeys(FIGURES)
        rng = np.random.default_rng(seed)
        share = np.full(len(names), 1 / len(names))
        chunks = (rng.multinomial(len(names), share, size=_AT_A_TIME) for _ in range(N_RESAMPLINGS // _AT_A_TIME))
        values = np.concatenate([self.weighted(drawn[:, owner].astype(np.float64)) for drawn in chunks])
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        finite = np.isfinite(low) & np.isfinite(high)
        return {name: (float(low[i]), float(high[i])) if finite[i] else None for i, name in enumerate(FIGURES)}
