"""Who stands behind a figure, and whether there are enough of them: ok, too_few or undefined, with the reason.

Minimums count patients, not films: five films of one patient are one patient's answer.
Neighbours: ``rows`` (the sums), ``gaps`` and ``audit`` (callers).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bias_audit.metrics import UNDEFINED, Metric
from bias_audit.rows import Bools, Ints, LabelRows, Rows

WHOSE = {
    "positive": "with the finding",
    "negative": "without the finding",
    "called": "called positive",
    "cleared": "called negative",
}


@dataclass(frozen=True)
class Counts:
    """Films and patients with a known answer, each [strata]; by what they are known for: all, positive, hd95_mm, …"""

    films: dict[str, Ints]
    patients: dict[str, Ints]

    def status(self, stratum: int, metric: Metric, min_patients: int, min_positives: int) -> tuple[str, str | None]:
        """Whether ``metric`` can be said of ``stratum``: (ok, None), or too_few / undefined and why."""
        if self.films["all"][stratum] == 0:
            return "undefined", "no film with a known answer"
        needs = [need for need in self.films if need in metric.needs]  # in one order, so that one reason is given
        for need in needs:
            if self.films[need][stratum] == 0:
                return "undefined", UNDEFINED.get(need, f"no film with a known {need}")
        if self.patients["all"][stratum] < min_patients:
            return "too_few", f"{_patients(self.patients['all'][stratum])}, at least {min_patients} needed"
        for need in needs:
            count, least = self.patients[need][stratum], min_positives if need in WHOSE else min_patients
            if count < least:
                return "too_few", f"{_patients(count)} {WHOSE.get(need, f'with {need}')}, at least {least} needed"
        return "ok", None

    def behind(self, metric: Metric) -> Ints:
        """[strata] patients in the smallest class that the metric needs."""
        return np.min([self.patients[need] for need in ("all", *sorted(metric.needs & set(self.patients)))], axis=0)


def _patients(count: int) -> str:
    return "1 patient" if count == 1 else f"{count} patients"


def _known_for(rows: Rows) -> dict[str, Bools]:
    return {
        "all": np.ones(len(rows.target), bool),
        "positive": rows.target == 1,
        "negative": rows.target == 0,
        "called": rows.called,
        "cleared": ~rows.called,
        **{name: ~np.isnan(values) for name, values in rows.measured.items()},
    }


def count_strata(data: LabelRows) -> tuple[Counts, Counts]:
    """Counts inside each stratum, and in everyone else."""
    inside, rest = Counts({}, {}), Counts({}, {})
    for name, mask in _known_for(data.rows).items():
        sums = data.patient_sums(mask.astype(np.float64))
        everyone = sums[[0]].toarray()[0]
        # a patient is in everyone else unless all of the films lie inside
        whole = sums.copy()
        whole.data = (sums.data == everyone[sums.indices]).astype(np.float64)
        films, present = _rows_sum(sums), np.diff(sums.indptr).astype(np.int64)
        inside.films[name], inside.patients[name] = films, present
        rest.films[name], rest.patients[name] = films[0] - films, present[0] - _rows_sum(whole)
    return inside, rest


def _rows_sum(sums: object) -> Ints:
    return np.asarray(sums.sum(axis=1)).ravel().astype(np.int64)  # type: ignore[attr-defined]
