"""The same films in fairlearn's words: selection rate, demographic parity and equalized odds differences.

One row a label and axis, point estimates over films with a known answer. fairlearn returns 0 for
the true positive rate of a group without positives, so only strata that are ``ok`` for both rates
take part, and the row names those left out. UNKNOWN is a group like any other. fairlearn gets one row a
(stratum, truth, call) with the number of films as its weight: the same figures, at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

from bias_audit.rows import Rows

RATES = {
    "selection_rate": selection_rate,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
}
COLUMNS = (
    "label",
    "axis",
    "n_strata",
    "left_out",
    "true_positive_rate_difference",
    "false_positive_rate_difference",
    "demographic_parity_difference",  # of the selection rate
    "equalized_odds_difference",  # the larger of the first two
    "status",
    "reason",
)


def fairness_row(label: str, axis: str, rows: Rows, strata: np.ndarray, eligible: Collection[str]) -> dict[str, object]:
    """One row of the table. ``strata`` [n] names; ``eligible``: those with enough of both classes."""
    present = sorted(set(strata))
    left_out = [name for name in present if name not in eligible]
    row: dict[str, object] = dict.fromkeys(COLUMNS)
    row.update(label=label, axis=axis, n_strata=len(present) - len(left_out), left_out=", ".join(left_out) or None)
    kept = np.isin(strata, list(eligible))
    if len(present) - len(left_out) < 2:
        return row | {"status": "too_few", "reason": "fewer than two strata have enough patients of both classes"}
    cells = pd.DataFrame({"target": rows.target[kept], "called": rows.called[kept], "group": strata[kept]})
    cells = cells.astype({"target": int, "called": int}).value_counts(sort=False).rename("films").reset_index()
    differences = MetricFrame(
        metrics={name: _of_ones(rate) for name, rate in RATES.items()},
        y_true=cells["target"],
        y_pred=cells["called"],
        sensitive_features=cells["group"],
        sample_params={name: {"sample_weight": cells["films"]} for name in RATES},
    ).difference()
    selection, tpr, fpr = (float(differences[name]) for name in RATES)
    row.update(true_positive_rate_difference=tpr, false_positive_rate_difference=fpr)
    row.update(demographic_parity_difference=selection, equalized_odds_difference=max(tpr, fpr))
    return row | {"status": "ok"}


def _of_ones(rate: Callable[..., float]) -> Callable[..., float]:
    """``rate`` with 1 as the positive class, also in a stratum where nothing is called positive."""

    def of_ones(y_true: pd.Series, y_pred: pd.Series, sample_weight: pd.Series) -> float:
        return float(rate(y_true, y_pred, sample_weight=sample_weight, pos_label=1))

    return of_ones


def fairness_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """The rows as a table with the columns COLUMNS."""
    return pd.DataFrame(rows, columns=list(COLUMNS))
