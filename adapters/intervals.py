"""How sure a figure is: the percentile interval of a bootstrap of patients, each drawn with all of its films.

Films of one patient are not independent answers, so patients are resampled (Efron and Tibshirani 1993, ch. 13). The
draws are shared by all labels, so a mean over labels has an interval as well. A percentile interval is too narrow
where few patients hold a class; ``raydino audit`` has intervals for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.95
N_REPLICATES = 1000
_BLOCK = 100  # replicates at a time: memory grows with films × this, not with films × N_REPLICATES


class PatientBootstrap:
    """Draws of the patients of ``patient_ids`` [N films], the same on every machine for one ``seed``."""

    def __init__(self, patient_ids: Sequence[str], *, n_replicates: int = N_REPLICATES, seed: int = 0) -> None:
        patients, self._patient = np.unique(np.asarray(patient_ids, dtype=str), return_inverse=True)
        rng = np.random.default_rng(seed)
        n = len(patients)
        drawn = (np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(n_replicates))
        self._times = np.stack(list(drawn), axis=1).astype(np.float64)  # [patients, replicates]

    def auroc(self, target: Floats, score: Floats) -> Floats:
        """[replicates] AUROC over films whose ``target`` (1, 0, NaN) is known; NaN where a class was not drawn."""
        known = np.isfinite(target)
        order = np.argsort(score[known], kind="stable")
        score, positive, films = score[known][order], target[known][order] == 1, np.flatnonzero(known)[order]
        low = np.searchsorted(score[~positive], score[positive], side="left")
        high = np.searchsorted(score[~positive], score[positive], side="right")
        return np.concatenate([_auroc(times, positive, low, high) for times in self._film_times(films)])

    def mean(self, values: Floats) -> Floats:
        """[replicates] mean of ``values`` [N] over films where they are not NaN; NaN where none of those was drawn."""
        known = np.isfinite(values)
        n = len(self._times)
        total = np.bincount(self._patient[known], values[known], minlength=n) @ self._times
        count = np.bincount(self._patient[known], minlength=n) @ self._times
        return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)

    def _film_times(self, films: npt.NDArray[np.intp]) -> Iterator[Floats]:
        """[films, block] how often each film was drawn, block after block of replicates."""
        for start in range(0, self._times.shape[1], _BLOCK):
            yield self._times[self._patient[films], start : start + _BLOCK]


def _auroc(
    times: Floats, positive: npt.NDArray[np.bool_], low: npt.NDArray[np.intp], high: npt.NDArray[np.intp]
) -> Floats:
    """Mann and Whitney's form, films in order of score: pairs won plus half the ties, over all pairs."""
    negative = times[~positive]
    below = np.zeros((len(negative) + 1, times.shape[1]))
    np.cumsum(negative, axis=0, out=below[1:])
    won = (times[positive] * (below[low] + below[high])).sum(axis=0) / 2
    pairs = times[positive].sum(axis=0) * below[-1]
    return np.divide(won, pairs, out=np.full(times.shape[1], np.nan), where=pairs > 0)


def interval(replicates: Floats) -> tuple[float | None, float | None]:
    """The middle CONFIDENCE of [replicates], or (None, None) where fewer than half of them are defined."""
    defined = replicates[np.isfinite(replicates)]
    if 2 * len(defined) < len(replicates) or not len(defined):
        return None, None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def mean_over_labels(replicates: Sequence[Floats]) -> Floats:
    """[replicates] mean over the labels that are defined in each; all NaN without a label."""
    stacked = np.stack(list(replicates)) if len(replicates) else np.full((1, 1), np.nan)
    count = np.isfinite(stacked).sum(axis=0)
    return np.divide(np.nansum(stacked, axis=0), count, out=np.full(len(count), np.nan), where=count > 0)
