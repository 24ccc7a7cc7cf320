"""The first page of the report in figures: what differs, how sure that is, and what cannot be said.

Pure functions over the audit's tables; report.json holds what they return. Neighbours: ``wording`` makes sentences
of these figures, ``page`` lays them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bias_audit.metrics import metric_named
from bias_audit.verdicts import DIFFERENT, EQUIVALENT, UNDECIDED
from raydino.artifacts.strata_names import UNKNOWN

UNTESTED = ("too_few", "undefined", "suppressed")


def verdict_counts(gaps: pd.DataFrame) -> dict[str, int]:
    """Gaps (stratum × label × metric) by verdict, and by the reason why there is none; they add up to all rows."""
    verdicts, statuses = gaps["verdict"].value_counts(), gaps["status"].value_counts()
    counts = {name: int(verdicts.get(name, 0)) for name in (DIFFERENT, EQUIVALENT, UNDECIDED)}
    return counts | {name: int(statuses.get(name, 0)) for name in UNTESTED}


def unsaid_by_axis(gaps: pd.DataFrame) -> list[dict[str, Any]]:
    """By axis: how many gaps have each verdict, how many have none, and the reasons, most frequent first."""
    rows = []
    for axis, group in gaps.groupby("axis", sort=False):
        reasons = group.loc[group["status"] != "ok", "reason"].value_counts()
        rows.append(
            {
                "axis": str(axis),
                "ok": int((group["status"] == "ok").sum()),
                **verdict_counts(group),
                "reasons": [{"reason": str(reason), "gaps": int(count)} for reason, count in reasons.items()],
            }
        )
    return rows


def detectable_by_axis(gaps: pd.DataFrame) -> list[dict[str, Any]]:
    """By axis and metric: the median, smallest and largest of the gaps that strata could have shown."""
    rows = []
    ok = gaps[(gaps["status"] == "ok") & gaps["detectable"].notna()]
    for (axis, metric), group in ok.groupby(["axis", "metric"], sort=False):
        found = group["detectable"]
        rows.append(
            {
                "axis": str(axis),
                "metric": str(metric),
                "gaps": len(group),
                "median": float(found.median()),
                "smallest": float(found.min()),
                "largest": float(found.max()),
            }
        )
    return rows


def missingness(cohort: pd.DataFrame, axes: Sequence[str]) -> list[dict[str, Any]]:
    """By plain axis: films whose group is unknown, and their share; null where the stratum is suppressed."""
    rows = []
    for axis in axes:
        unknown = cohort[(cohort["axis"] == axis) & (cohort["stratum"] == UNKNOWN)]
        films = unknown["n_images"].iloc[0] if len(unknown) else 0
        share = unknown["share"].iloc[0] if len(unknown) else 0.0
        known = not pd.isna(films)
        rows.append(
            {
                "axis": axis,
                "n_images": int(films) if known else None,
                "share": float(share) if known else None,
            }
        )
    return rows


def worst_groups(spreads: pd.DataFrame, depth_one: Sequence[str]) -> list[dict[str, Any]]:
    """Axes whose strata lie further apart than chance alone explains, the furthest (for what chance shows) first.

    Only of metrics whose gaps are tested: the others move with prevalence. ``depth_one``: the plain axes.
    """
    tested = spreads["metric"].map(lambda name: metric_named(str(name)).tested).astype(bool)
    rows = spreads[tested & (spreads["status"] == "ok") & spreads["axis"].isin(depth_one)]
    rows = rows[rows["difference"] > rows["by_chance"]]
    excess = (rows["difference"] / rows["by_chance"]).sort_values(ascending=False, kind="stable")
    return [{str(name): value for name, value in rows.loc[place].items()} for place in excess.index]
