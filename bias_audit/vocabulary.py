"""The same strata in fairlearn's words: selection rate, demographic parity and equalized odds differences.

One row a label and axis, over films with a known answer, with bootstrap intervals (``spread``). Differences are
between the highest and the lowest stratum, as in fairlearn.metrics, which the tests compare with. fairlearn
returns 0 for the true positive rate of a group without positives, so only strata with enough patients of both
classes take part, and the row names those left out. UNKNOWN is a group like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bias_audit.metrics import Metric
from bias_audit.rates import FPR, SELECTION_RATE, SENSITIVITY
from bias_audit.spread import Figures, largest_difference

RATES: tuple[Metric, ...] = (SENSITIVITY, FPR, SELECTION_RATE)
DIFFERENCES = (
    "true_positive_rate_difference",
    "false_positive_rate_difference",
    "demographic_parity_difference",  # of the selection rate
    "equalized_odds_difference",  # the larger of the first two
)


def fairness_row(
    rates: Mapping[str, Figures], strata: int, left_out: Sequence[str], confidence: float
) -> dict[str, object]:
    """Differences among ``strata`` strata, by the figures of each of ``RATES`` (not asked for where they are too few).

    ``left_out`` names the strata without enough patients of either class.
    """
    row: dict[str, object] = {"n_strata": strata, "left_out": ", ".join(left_out) or None}
    columns = [f"{name}{end}" for name in DIFFERENCES for end in ("", "_low", "_high")]
    row.update(dict.fromkeys(columns, np.nan))
    if strata < 2:
        reason = "fewer than two strata have enough patients of both classes"
        return row | {"status": "too_few", "reason": reason}
    tpr, fpr, selected = (rates[metric.name] for metric in RATES)
    for name, figures in zip(DIFFERENCES, ([tpr], [fpr], [selected], [tpr, fpr]), strict=True):
        found = largest_difference(figures, confidence)
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return row | {"status": "ok", "reason": None}
