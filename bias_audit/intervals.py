"""How sure an estimate is: a bootstrap of patients, and small-sample intervals that cannot collapse.

Why patients: two films of one patient are not two independent answers. Resampling films would take
them for such and make intervals too narrow; resampling patients, each with all of its films, does
not. A replicate is a column of multiplicities (how often each patient was drawn), drawn once and
shared by every label, metric and stratum, so that differences between strata are resampled too.

Why not the percentile interval: where all of eight films were called, every replicate says 1.0 and the
percentile interval is [1, 1]. So a share (and an AUROC) gets Wilson's score interval (1927), which a zero does not
fool, on as many independent films as would be as uncertain as these: as the bootstrap of this stratum finds, or as
films of everyone would be in its patients, whichever is fewer (``estimates``). The wider of that and the percentile
interval at either end would be too wide. Metrics that are no mean have the bootstrap's variance alone, which few
patients make too small: so it is taken with Student's quantile on them. ``benchmarks/audit_validity.py`` measures
the coverage. Neighbours: ``replicates``, ``gaps``.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def within_patients(parts: Sequence[Floats], patient: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """k columns of values [n], NaN where a film does not count → variances [k] and covariances [k, k].

    The covariances are of two different films of one patient, by moments; 0 where no patient has two. Those of a
    column with itself lie between 0 and its variance, and no correlation is beyond 1.
    """
    counted = [(~np.isnan(values)).astype(np.float64) for values in parts]
    means = [np.nanmean(v) if n.any() else 0.0 for v, n in zip(parts, counted, strict=True)]
    residual = [np.nan_to_num(v - m) for v, m in zip(parts, means, strict=True)]
    films = [np.bincount(patient, n) for n in counted]
    sums = [np.bincount(patient, r) for r in residual]
    variance = np.array([(r**2).sum() / max(n.sum() - 1, 1) for r, n in zip(residual, counted, strict=True)])
    k = len(parts)
    together = np.zeros((k, k))
    for i in range(k):
        for j in range(i, k):
            same = [(residual[i] * residual[j]).sum(), (counted[i] * counted[j]).sum()]  # a film with itself
            pairs = (films[i] * films[j]).sum() - same[1]
            value = ((sums[i] * sums[j]).sum() - same[0]) / pairs if pairs > 0 else 0.0
            limits = (0.0, variance[i]) if i == j else (-np.inf, np.inf)
            together[i, j] = together[j, i] = np.clip(value, *limits)
    most = np.sqrt(np.outer(np.diag(together), np.diag(together)))
    return variance, np.clip(together, -most, most)


def wilson_interval(share: Floats, films: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Score interval of a proportion on ``films`` (which need not be whole); all [strata]."""
    z = stats.norm.ppf((1 + confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (share + z**2 / (2 * films)) / (1 + z**2 / films)
        half = z / (1 + z**2 / films) * np.sqrt(share * (1 - share) / films + z**2 / (4 * films**2))
    low, high = np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
    return np.where(share == 0, 0.0, low), np.where(share == 1, 1.0, high)


def mean_interval(mean: Floats, variance: Floats, films: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Student's interval of a mean with ``variance`` from as many as ``films`` independent values; all [strata]."""
    half = stats.t.ppf((1 + confidence) / 2, np.maximum(films - 1, 1)) * np.sqrt(variance)
    return mean - half, mean + half


def bootstrap_variance(replicates: Floats) -> Floats:
    """[strata, B] → variance [strata] over the defined replicates; 0 where there are none."""
    known = ~np.isnan(replicates)
    count = np.maximum(known.sum(axis=1), 1)
    filled = np.where(known, replicates, 0.0)
    mean = filled.sum(axis=1) / count
    return np.asarray((np.where(known, replicates - mean[:, None], 0.0) ** 2).sum(axis=1) / count)


def student_factor(patients: npt.NDArray[np.int64], confidence: float) -> Floats:
    """[strata] (Student's quantile / the normal one)²: by which a variance known from few patients is taken larger."""
    tail = (1 + confidence) / 2
    return np.asarray((stats.t.ppf(tail, np.maximum(patients - 1, 1)) / stats.norm.ppf(tail)) ** 2)
