"""Who stands behind a figure, and whether there are enough of them: ok, too_few or undefined, with the reason.

Minimums count patients, not films: five films of one patient are one patient's answer.
Neighbours: ``replicates`` (the sums), ``gaps`` and ``audit`` (callers).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bias_audit.metrics import Metric
from bias_audit.replicates import LabelRows

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Films and patients with a known answer, each [strata]."""

    films: Ints
    patients: Ints
    positive_films: Ints
    positive_patients: Ints
    negative_films: Ints
    negative_patients: Ints
    called_films: Ints
    called_patients: Ints

    def status(self, stratum: int, metric: Metric, min_patients: int, min_positives: int) -> tuple[str, str | None]:
        """Whether ``metric`` can be said of ``stratum``: (ok, None), or too_few / undefined and why."""
        if self.films[stratum] == 0:
            return "undefined", "no film with a known answer"
        reason = metric.defined_for(
            int(self.positive_films[stratum]), int(self.negative_films[stratum]), int(self.called_films[stratum])
        )
        if reason:
            return "undefined", reason
        if self.patients[stratum] < min_patients:
            return "too_few", f"{_patients(self.patients[stratum])}, at least {min_patients} needed"
        for need, whose, count in (
            ("positive", "with the finding", self.positive_patients),
            ("negative", "without the finding", self.negative_patients),
            ("called", "called positive", self.called_patients),
        ):
            if need in metric.needs and count[stratum] < min_positives:
                return "too_few", f"{_patients(count[stratum])} {whose}, at least {min_positives} needed"
        return "ok", None


def _patients(count: int) -> str:
    return "1 patient" if count == 1 else f"{count} patients"


def count_strata(data: LabelRows) -> tuple[Counts, Counts]:
    """Counts inside each stratum, and in everyone else."""
    inside: list[Ints] = []
    rest: list[Ints] = []
    for mask in (
        np.ones(len(data.patient), bool),
        data.rows.target == 1,
        data.rows.target == 0,
        data.rows.called,
    ):
        sums = data.patient_sums(mask.astype(np.float64)).astype(np.int64)
        others = sums[:1] - sums
        inside += [sums.sum(axis=1), (sums > 0).sum(axis=1)]
        rest += [others.sum(axis=1), (others > 0).sum(axis=1)]
    return Counts(*inside), Counts(*rest)
