"""A check of the p-values that assumes nothing but exchange: patients swap their groups.

If nothing depends on the groups, it does not matter which patient has which. Whole patients swap, each with all
films, so films of one patient stay together; only patients with equally many films can, so that each film gets
a group and the strata keep their sizes. The share of swaps that show as large a gap is the p-value, exact for
any metric and however small the stratum, but no smaller than 1 / (swaps + 1). Neighbours: ``gaps`` (the formula
that it checks).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bias_audit.metrics import Metric
from bias_audit.replicates import Replicates, replicate_all
from bias_audit.rows import Floats, Ints, LabelRows


def swapped(data: LabelRows, rng: np.random.Generator) -> LabelRows:
    """The same films with the groups of other patients, who have as many."""
    films = np.bincount(data.patient)[data.patient]
    # films of a patient stand together, in an order of chance, and patients by their number of films
    order = np.lexsort((rng.random(len(films)), data.patient, films))
    member: Ints = np.empty_like(data.member)
    for count in np.unique(films):
        places = order[films[order] == count].reshape(-1, count)
        donors = places[rng.permutation(len(places))]
        member[places.ravel()] = data.member[donors.ravel()]
    return LabelRows(data.rows, data.patient, member, data.strata)


def permutation_p_values(
    data: LabelRows, metrics: Sequence[Metric], replicates: dict[str, Replicates], swaps: int, rng: np.random.Generator
) -> dict[str, Floats]:
    """[strata] two-sided p-value of stratum against rest for each metric, NaN where there is no gap."""
    once = np.ones((data.patients, 1), np.uint16)
    everywhere = np.ones(data.strata, bool)
    observed = {m.name: np.abs(replicates[m.name].inside[:, 0] - replicates[m.name].rest[:, 0]) for m in metrics}
    larger = {metric.name: np.zeros(data.strata) for metric in metrics}
    drawn = {metric.name: np.zeros(data.strata) for metric in metrics}
    for _ in range(swaps):
        for name, found in replicate_all(swapped(data, rng), metrics, once, everywhere, 1).items():
            gap = np.abs(found.inside[:, 0] - found.rest[:, 0])
            drawn[name] += ~np.isnan(gap)
            larger[name] += gap >= observed[name] - 1e-12
    return {
        name: np.where(np.isnan(observed[name]), np.nan, (1 + larger[name]) / (1 + drawn[name])) for name in observed
    }
