"""How sure an estimate is: a bootstrap of patients, and small-sample intervals that cannot collapse.

Why patients: two films of one patient are not two independent answers. Resampling films would take
them for such and make intervals too narrow; resampling patients, each with all of its films, does
not. A replicate is a column of multiplicities (how often each patient was drawn), drawn once and
shared by every label, metric and stratum, so that differences between strata are resampled too.

Why not the percentile interval alone: where all of eight films were called, every replicate says
1.0 and the percentile interval is [1, 1]. So each interval is the wider of two at either end: the
percentile interval, and Wilson's score interval (1927) on as many independent films as would know
the metric as well (``estimates``). Neighbours: ``replicates``, ``gaps``.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]


def patient_multiplicities(patients: int, bootstraps: int, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    """[patients, 1 + bootstraps]: column 0 is the sample itself (all ones), each other column sums to ``patients``."""
    weights = np.ones((patients, 1 + bootstraps), np.uint16)
    for replicate in range(1, bootstraps + 1):
        drawn = rng.integers(0, patients, patients)
        weights[:, replicate] = np.bincount(drawn, minlength=patients)
    return weights


def percentile_interval(replicates: Floats, confidence: float) -> tuple[Floats, Floats]:
    """[strata, B] → lower and upper ends [strata]; undefined replicates (NaN) are left out."""
    tail = (1 - confidence) / 2
    if not np.isnan(replicates).any():  # many times faster than the general case
        low, high = np.quantile(replicates, [tail, 1 - tail], axis=1)
        return low, high
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a stratum without any defined replicate stays NaN
        low, high = np.nanquantile(replicates, [tail, 1 - tail], axis=1)
    return low, high


def intracluster_correlation(residual: Floats, patient: npt.NDArray[np.int64]) -> float:
    """Moment estimate, in 0..1, of how alike residuals (mean 0, [n]) of one patient are; 0 where no one has two."""
    sums = np.bincount(patient, residual)
    squares = np.bincount(patient, residual**2)
    size = np.bincount(patient).astype(np.float64)
    pairs = (size * (size - 1)).sum()
    variance = float((residual**2).mean()) if len(residual) else 0.0
    if pairs == 0 or variance == 0:
        return 0.0
    return float(np.clip((sums**2 - squares).sum() / pairs / variance, 0, 1))


def effective_films(films: Floats, squares: Floats, correlation: float) -> Floats:
    """[strata] films and sum over patients of films² → number of independent films that weigh the same."""
    weight = (1 - correlation) * films + correlation * squares
    return np.divide(films**2, weight, out=np.zeros_like(films), where=weight > 0)


def wilson_interval(share: Floats, films: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Score interval of a proportion on ``films`` (which need not be whole); all [strata]."""
    z = stats.norm.ppf((1 + confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (share + z**2 / (2 * films)) / (1 + z**2 / films)
        half = z / (1 + z**2 / films) * np.sqrt(share * (1 - share) / films + z**2 / (4 * films**2))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def mean_interval(mean: Floats, variance: float, films: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Student's interval of a mean of ``films`` independent values of ``variance``; all [strata]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        half = stats.t.ppf((1 + confidence) / 2, np.maximum(films - 1, 1)) * np.sqrt(variance / films)
    return mean - half, mean + half
