"""From which similarity on are two films the same? Calibrated on the archive, not copied from natural images.

DINOv2's 0.6 and 0.45 belong to a copy detector of photographs; any two chests exceed them. Here the positives are
films of the archive compared with copies of themselves (``recoding``), the negatives each film's most alike film of
another patient. The threshold is where few negatives reach it, by an upper confidence limit and not by the count
alone; what it finds of the copies is reported beside it. Where the two do not part, there is no threshold to be had.

Archives do hold one film under two patients, and such a pair is no error of the measure. Negatives that lie far above
all that the bulk of them leads to expect, and as high as copies do, are therefore set aside as suspects: counted, and
not taken for strangers. They are for a human eye (``pair_sheet``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, norm

from raydino.curation.kmeans import F32
from raydino.errors import UserError

CONFIDENCE = 0.95
LEAST_RECALL = 0.5  # below it the copies are not found: no threshold
MOST_SUSPECTS = 1 / 3  # of the negatives; with more, "set aside" would mean "ignored"
_LOW, _LOWEST = 0.05, 0.01  # quantiles of the copies: nearly all are above


@dataclass(frozen=True)
class Calibration:
    """A threshold and what it does on the archive that it comes from. Rates are shares of the negatives."""

    threshold: float
    recall: float  # of the copies, all kinds
    recalls: dict[str, float]  # by kind of copy
    false_merge_rate: float  # of the strangers: films whose nearest film of another patient reaches the threshold
    false_merge_limit: float  # upper confidence limit of it
    n_positives: int
    n_negatives: int
    n_suspects: int  # negatives that look like copies, not counted in the rates

    @property
    def separates(self) -> bool:
        """Whether copies and strangers part well enough to act upon."""
        return self.recall >= LEAST_RECALL and self.n_suspects <= MOST_SUSPECTS * self.n_negatives

    def require_separates(self, where: object = None) -> None:
        """Raise UserError where the measure cannot tell copies from other patients."""
        if not self.separates:
            raise UserError(
                f"cannot tell copies from other patients: finds {self.recall:.0%} of copies, and "
                f"{self.n_suspects} of {self.n_negatives} films have one of another patient as like as a copy",
                where=where,
                remedy="compare the films themselves instead of these vectors, or give a threshold",
            )


def calibrate(positives: Mapping[str, F32], negatives: F32, *, false_merge_rate: float = 0.005) -> Calibration:
    """The threshold at which the limit of the false merges is at most ``false_merge_rate``, and no lower than need be.

    ``positives`` are similarities of films and their copies, by kind of copy; ``negatives`` [N] of films and the most
    alike film of another patient, all in -1…1. Above the last stranger allowed there is often a gap before the copies
    begin: then the threshold is its middle, as an archive that grows fills it from below. Raises UserError where
    there are too few negatives for the rate.
    """
    copies = np.concatenate([np.asarray(values, np.float64) for values in positives.values()] or [np.empty(0)])
    if len(copies) == 0 or len(negatives) == 0:
        raise UserError(
            f"{len(copies)} copies and {len(negatives)} films of other patients to calibrate with",
            remedy="films of at least two patients, or give a threshold",
        )
    lowest_copies, low_copies = np.quantile(copies, (_LOWEST, _LOW)).tolist()
    suspect = negatives > max(_expected_highest(negatives), lowest_copies)
    strangers = np.sort(np.asarray(negatives[~suspect], np.float64))[::-1]
    allowed = _most_false_merges(len(strangers), false_merge_rate)
    if allowed is None:
        raise UserError(
            f"{len(strangers)} films are too few to hold false merges below {false_merge_rate:.2%}",
            remedy=f"a rate of {upper_limit(0, len(strangers)):.2%} or more, or give a threshold",
        )
    highest = strangers[min(allowed, len(strangers) - 1)]
    lowest = float(np.nextafter(np.float32(highest), np.float32(2)))
    threshold = min(1.0, max(lowest, (lowest + low_copies) / 2))
    n_false = int((strangers >= threshold).sum())
    return Calibration(
        threshold=threshold,
        recall=float((copies >= threshold).mean()),
        recalls={kind: float((values >= threshold).mean()) for kind, values in positives.items()},
        false_merge_rate=n_false / max(len(strangers), 1),
        false_merge_limit=upper_limit(n_false, len(strangers)),
        n_positives=len(copies),
        n_negatives=len(negatives),
        n_suspects=int(suspect.sum()),
    )


def _expected_highest(negatives: F32) -> float:
    """What the highest of so many values exceeds once in twenty times if Fisher's z of them is normal, as median and
    lower quartile tell it. Again without those above it until none is, so that copies among them hardly move it.
    """
    bulk, limit = np.arctanh(np.clip(np.asarray(negatives, np.float64), -1 + 1e-9, 1 - 1e-9)), np.inf
    while True:
        quartile, median = np.quantile(bulk, (0.25, 0.5))
        lower = median + (median - quartile) / norm.ppf(0.75) * norm.ppf(1 - (1 - CONFIDENCE) / len(bulk))
        if lower >= limit:
            return float(np.tanh(limit))
        limit, bulk = lower, bulk[bulk <= lower]


def upper_limit(count: int, of: int) -> float:
    """Upper confidence limit (Clopper and Pearson 1934, one-sided 95 %) of a share; 1 where nothing was counted."""
    return 1.0 if count >= of else float(beta.ppf(CONFIDENCE, count + 1, of - count))


def require_threshold(threshold: float, where: object = None) -> None:
    """Raise UserError on a similarity that cannot be."""
    if not -1 <= threshold <= 1:
        raise UserError(f"a threshold of {threshold}", where=where, remedy="a similarity between -1 and 1")


def _most_false_merges(of: int, rate: float) -> int | None:
    """The largest count whose upper limit keeps to ``rate``; None where not even 0 does."""
    low, high = -1, of
    while high - low > 1:
        middle = (low + high) // 2
        if upper_limit(middle, of) <= rate:
            low = middle
        else:
            high = middle
    return low if low >= 0 else None
