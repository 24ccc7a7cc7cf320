"""Reliability curves: do scores come true? Observed share with the finding against the mean score, bin by bin.

Bins hold equally many films (scikit-learn's strategy "quantile"), so that no point stands on a handful: a bin of fewer
than ``LEAST`` films would say more about chance, and about single patients, than about the model. Neighbours:
``recalibration`` (slope and intercept with intervals), ``figures`` (the caller).
"""

from __future__ import annotations

import numpy as np

from bias_audit.rows import Floats

LEAST, MOST = 20, 10  # films a bin, and bins


def reliability_curve(target: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Mean score and observed share [bins] of films [n] that rise by score; empty where fewer than two bins fill.

    Films of one score stay together: a bin ends only where the score changes.
    """
    wanted = min(MOST, len(score) // LEAST)
    if wanted < 2:
        return np.zeros(0), np.zeros(0)
    ends = np.append(np.flatnonzero(np.diff(score)) + 1, len(score))  # where a bin may end
    cut = [0]
    for k in range(1, wanted + 1):
        end = int(ends[np.searchsorted(ends, round(k * len(score) / wanted))])
        if end - cut[-1] >= LEAST:
            cut.append(end)
    if cut[-1] < len(score):  # the few that are left join the last bin
        cut[-1] = len(score)
    if len(cut) < 3:
        return np.zeros(0), np.zeros(0)
    count = np.diff(cut)
    return np.add.reduceat(score, cut[:-1]) / count, np.add.reduceat(target, cut[:-1]) / count
