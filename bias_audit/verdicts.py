"""Different, equivalent or undecided, and what this sample could have shown at all. Pure functions over a table of
gaps.

"No significant gap" says nothing by itself. So each gap gets a verdict against a margin that was fixed beforehand:

- different: the adjusted p-value is below alpha, and the gap is at least the margin
- equivalent: the whole interval lies within the margin on either side of 0 (two one-sided tests, Schuirmann 1987)
- undecided: neither; the sample is too small for an answer

And the smallest gap that this stratum would have shown with the wanted power, at the level that the table's
adjustment came to. Neighbours: ``flags`` (adjusted p-values), ``gaps`` (intervals).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from bias_audit.rows import Floats

DIFFERENT, EQUIVALENT, UNDECIDED = "different", "equivalent", "undecided"


def level_after_adjustment(p_value: pd.Series, p_adjusted: pd.Series, question: pd.Series, alpha: float) -> float:
    """The p-value that a gap needs in this table: alpha × sure tests / tests, as if one were sure where none is.

    Benjamini–Hochberg finds r of m tests sure when the r-th smallest p-value is at most alpha r / m. ``question``
    numbers tests, so that one asked twice counts once.
    """
    once = p_value.notna() & ~question.where(p_value.notna()).duplicated()
    tests = int(once.sum())
    sure = int((once & (p_adjusted < alpha)).sum())
    return alpha * max(sure, 1) / tests if tests else alpha


def smallest_gap(error: Floats, level: float, power: float) -> Floats:
    """Gap that is found with ``power`` by a two-sided normal test at ``level``; NaN where ``error`` tells nothing."""
    known = np.where(error > 0, error, np.nan)
    return np.asarray((stats.norm.isf(level / 2) + stats.norm.ppf(power)) * known)


def verdicts(gaps: pd.DataFrame, margin: Floats, alpha: float) -> list[str | None]:
    """One a row of gap, ci_low, ci_high, p_adjusted; None where no gap was tested. ``margin`` [rows]."""
    different = (gaps["p_adjusted"] < alpha) & (gaps["gap"].abs() >= margin)
    equivalent = (gaps["ci_low"] > -margin) & (gaps["ci_high"] < margin)
    chosen = np.select([gaps["gap"].isna(), different, equivalent], ["", DIFFERENT, EQUIVALENT], UNDECIDED)
    return [str(verdict) or None for verdict in chosen]
