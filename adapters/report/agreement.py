"""Whether drafts say of the 14 findings of CheXpert what the references say: precision, recall and F1 by count.

Both texts are read by the labeller (``read``). What is doubtful counts as said (``present_or_doubtful``, the
convention of most published clinical F1) or as not said (``present``); both are given. Micro figures add the
counts of all findings up, macro figures are means over the findings that either side names. ``five`` are those
that CheXpert was judged on (Irvin et al. 2019). The labeller's own errors are in all of these figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.metrics import mean_of
from adapters.report.findings import NO_FINDING
from adapters.report.labeller import State, read_report

FIVE = ("atelectasis", "cardiomegaly", "consolidation", "edema", "pleural effusion")
FOURTEEN = (
    *FIVE,
    "enlarged cardiomediastinum",
    "fracture",
    "lung lesion",
    "lung opacity",
    "pleural other",
    "pneumonia",
    "pneumothorax",
    "support devices",
    NO_FINDING,
)
POLICIES: Mapping[str, State] = {"present_or_doubtful": State.DOUBTFUL, "present": State.PRESENT}
_SETS = {"14": FOURTEEN, "5": FIVE}

States = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def read(texts: Sequence[str]) -> States:
    """[N, 14] what each text says of FOURTEEN, as State."""
    rows = [[states[name] for name in FOURTEEN] for states in map(read_report, texts)]
    return np.array(rows, dtype=np.int64).reshape(len(texts), len(FOURTEEN))


class Agreement(NamedTuple):
    """[14] films a finding of FOURTEEN: named by both, by the draft alone, by the reference alone."""

    both: States
    draft_only: States
    reference_only: States

    @classmethod
    def of(cls, drafts: States, references: States, policy: str) -> Agreement:
        """Counts over films ([N, 14] states each) under one of POLICIES."""
        said, wanted = drafts >= POLICIES[policy], references >= POLICIES[policy]
        return cls((said & wanted).sum(0), (said & ~wanted).sum(0), (~said & wanted).sum(0))

    def only(self, names: Sequence[str]) -> Agreement:
        """The counts of these findings."""
        columns = [FOURTEEN.index(name) for name in names]
        return Agreement(*(counts[columns] for counts in self))

    def summed(self) -> Agreement:
        """[1] the counts of all findings added up."""
        return Agreement(*(counts.sum(keepdims=True) for counts in self))

    def figures(self) -> dict[str, Floats]:
        """Precision, recall and F1 of each finding: NaN where neither side names it, 0 where one side alone does."""
        both, said, wanted = self.both, self.both + self.draft_only, self.both + self.reference_only
        named = said + wanted > 0
        shares = {"precision": (both, said), "recall": (both, wanted), "f1": (2 * both, said + wanted)}
        return {name: np.where(named, part / np.maximum(whole, 1), np.nan) for name, (part, whole) in shares.items()}


def agreement(drafts: States, references: States) -> dict[str, float | None]:
    """``<micro|macro>_<precision|recall|f1>_<14|5>_<policy>``; None where neither side names any of them."""
    overall: dict[str, float | None] = {}
    for policy in POLICIES:
        found = Agreement.of(drafts, references, policy)
        for size, names in _SETS.items():
            each = found.only(names)
            for figure, value in each.summed().figures().items():
                overall[f"micro_{figure}_{size}_{policy}"] = mean_of(_defined(value))
            for figure, value in each.figures().items():
                overall[f"macro_{figure}_{size}_{policy}"] = mean_of(_defined(value))
    return overall


def _defined(values: Floats) -> list[float]:
    return [float(value) for value in values if np.isfinite(value)]
