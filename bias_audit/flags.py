"""Which gaps deserve a flag: surety over the whole table, and shadows told from their source.

A bias in one cell (women at one site) moves every group that holds the cell (women, the site), and
makes everyone else look better by comparison. So sure gaps are traced to the surest one whose films,
left out, make them vanish. Neighbours: ``gaps`` (the table), ``audit`` (the caller).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from bias_audit.counts import count_strata
from bias_audit.gaps import Comparison
from bias_audit.metrics import Metric
from bias_audit.replicates import Weights, replicate_all
from bias_audit.rows import Floats, LabelRows
from bias_audit.settings import AuditConfig, Recipe
from bias_audit.strata import StrataIndex
from bias_audit.verdicts import level_after_adjustment, smallest_gap, verdicts

WORSE_FIRST = 0.99  # decides between equals only


def benjamini_hochberg(p_value: Floats) -> Floats:
    """Adjusted p-values (false discovery rate); NaN stays NaN and does not count as a test."""
    adjusted = np.full(len(p_value), np.nan)
    tested = ~np.isnan(p_value)
    if tested.any():
        adjusted[tested] = stats.false_discovery_control(p_value[tested], method="bh")
    return adjusted


def questions(gaps: pd.DataFrame) -> pd.Series:
    """A number a row, the same for rows that are one test.

    Of an axis of two strata either is the rest of the other: the same test twice, with one p-value.
    """
    in_axis = gaps.groupby(["label", "metric", "axis"], sort=False)["p_value"]
    is_mirror = (in_axis.transform("size") == 2) & (in_axis.cumcount() == 1)
    return (~is_mirror).cumsum()  # the two stand one after the other


def adjusted_p_values(p_value: pd.Series, question: pd.Series) -> pd.Series:
    """Benjamini–Hochberg over tests, each counted once."""
    once = benjamini_hochberg(p_value.where(~question.duplicated()).to_numpy(np.float64))
    return pd.Series(once, p_value.index).groupby(question).transform("first")


def flag_gaps(
    gaps: pd.DataFrame,
    by_label: dict[str, LabelRows],
    metrics: dict[str, Metric],
    weights: Weights,
    index: StrataIndex,
    config: AuditConfig,
) -> pd.DataFrame:
    """Add p_adjusted, explained_by, flagged, verdict and detectable to the gaps of all labels.

    Sure: p_adjusted < alpha and |gap| ≥ the metric's margin. Of the sure gaps of a label and metric the surest is a
    root. Leave its films out: a gap that is then small or no longer sure is explained by the root; the
    surest that stays is the next root. Flagged are sure gaps, worse or better, except those of strata
    that share no film with the root that explains them: they only mirror it. Shadows and mirrors are no
    discoveries of their own, and counting them would make the adjustment lenient to chance elsewhere: so
    it is made a second time without them, and a root that then is not sure loses its flag, with its shadows.
    """
    gaps = gaps.copy()
    recipe = config.recipe
    question = questions(gaps)
    margin = gaps["metric"].map(recipe.margin_of).to_numpy(np.float64)
    gaps["p_adjusted"] = adjusted_p_values(gaps["p_value"], question)
    sure = (gaps["p_adjusted"] < recipe.alpha) & (gaps["gap"].abs() >= margin)
    gaps["explained_by"] = pd.Series([None] * len(gaps), index=gaps.index, dtype=object)
    gaps["flagged"] = sure
    cutoff = gaps["p_value"][sure].max()
    source: dict[int, int] = {}  # explained row → its root's row
    for (label, name), group in gaps[sure].groupby(["label", "metric"], sort=True):
        explanation = _Explanation(by_label[str(label)], metrics[str(name)], weights, index, config, cutoff)
        for row, (root, mirrors) in explanation.of(group).items():
            stratum = int(gaps.loc[root, "stratum_id"])  # type: ignore[arg-type]
            gaps.loc[row, "explained_by"] = f"{index.axes[stratum]}: {index.names[stratum]}"
            gaps.loc[row, "flagged"] = not mirrors
            source[row] = root
    own = gaps.index.difference(list(source))
    gaps.loc[own, "p_adjusted"] = adjusted_p_values(gaps.loc[own, "p_value"], question[own])
    gaps.loc[own, "flagged"] &= gaps.loc[own, "p_adjusted"] < recipe.alpha
    for row, root in source.items():
        gaps.loc[row, "flagged"] &= gaps.loc[root, "flagged"]
    return _judged(gaps, question, margin, recipe)


def judge_references(gaps: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Add p_adjusted (over this table), verdict and detectable to gaps against references."""
    if gaps.empty:
        return gaps
    question = pd.Series(range(len(gaps)), gaps.index)
    gaps = gaps.assign(p_adjusted=benjamini_hochberg(gaps["p_value"].to_numpy(np.float64)))
    return _judged(gaps, question, gaps["metric"].map(recipe.margin_of).to_numpy(np.float64), recipe)


def _judged(gaps: pd.DataFrame, question: pd.Series, margin: Floats, recipe: Recipe) -> pd.DataFrame:
    level = level_after_adjustment(gaps["p_value"], gaps["p_adjusted"], question, recipe.alpha)
    return gaps.assign(
        verdict=verdicts(gaps, margin, recipe.alpha),
        detectable=smallest_gap(gaps["se"].to_numpy(np.float64), level, recipe.power),
    )


@dataclass(frozen=True)
class _Explanation:
    """Which sure gaps of one label and metric are but the shadow of a surer one."""

    data: LabelRows
    metric: Metric
    weights: Weights
    index: StrataIndex
    config: AuditConfig
    cutoff: float  # the largest p-value that was sure in the whole table

    def of(self, sure: pd.DataFrame) -> dict[int, tuple[int, bool]]:
        """Row → (its root's row, whether it shares no film with any root so far); roots have no entry."""
        waiting = self._surest_first(sure)
        found: dict[int, tuple[int, bool]] = {}
        margin = self.config.recipe.margin_of(self.metric.name)
        left, rooted = self.data, np.zeros(len(self.data.patient), bool)
        while waiting:
            root, root_stratum = waiting.pop(0)
            left, rooted = left.without(root_stratum), rooted | self.data.inside(root_stratum)
            if not waiting:
                break
            again = self._gaps(left, [stratum for _, stratum in waiting])
            for row, stratum in list(waiting):
                p_value, gap = again.loc[stratum, ["p_value", "gap"]].astype(float)
                if not (p_value <= self.cutoff and abs(gap) >= margin):
                    found[row] = (root, not bool((rooted & self.data.inside(stratum)).any()))
                    waiting.remove((row, stratum))
        return found

    def _surest_first(self, sure: pd.DataFrame) -> list[tuple[int, int]]:
        """(row, stratum) by falling |gap| / se; of two that mirror each other (F and M) the worse comes first."""
        surety = (sure["gap"] / sure["se"]).abs() * np.where(sure["direction"] == "worse", 1, WORSE_FIRST)
        ranked = sure.assign(falling=-surety, depth=[self.index.depth[k] for k in sure["stratum_id"]])
        ranked = ranked.sort_values(["falling", "depth", "stratum_id"])
        return list(zip(ranked.index, ranked["stratum_id"], strict=True))

    def _gaps(self, left: LabelRows, strata: Sequence[int]) -> pd.DataFrame:
        wanted = np.isin(np.arange(left.strata), list(strata))
        replicates = replicate_all(left, [self.metric], self.weights, wanted, self.config.runtime.block)
        counts, _ = count_strata(left)
        comparison = Comparison(left, replicates, counts, self.index, self.config.recipe)
        return comparison.with_rest([self.metric]).set_index("stratum_id")
