"""The audit in plain sentences and rounded figures, for the report and for report.json.

Neighbours: ``audit`` makes the tables, ``render`` lays these sentences out.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bias_audit.metrics import metric_named, same_label
from bias_audit.verdicts import DIFFERENT, EQUIVALENT, UNDECIDED
from raydino.artifacts.strata_names import TIMES

NBSP = "\u00a0"


def number(value: float | None, digits: int = 2) -> str:
    """A figure with ``digits`` decimals, or a dash for what has none."""
    if value is None or pd.isna(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """``0.31 to 0.44``."""
    return "–" if low is None or pd.isna(low) else f"{number(low, digits)} to {number(high, digits)}"


def count(value: int | None) -> str:
    """``1,234``, or ``hidden`` for the count of a suppressed stratum."""
    return "hidden" if value is None or pd.isna(value) else f"{value:,}"


def p_text(value: float | None) -> str:
    """A p-value without false precision."""
    if value is None or pd.isna(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def percent(share: float | None) -> str:
    """``12 %`` with a no-break space; below one per cent with a decimal; a dash for what has none."""
    if share is None or pd.isna(share):
        return "–"
    return f"{100 * share:.1f}{NBSP}%" if 0 < share < 0.01 else f"{100 * share:.0f}{NBSP}%"


def who(axis: str, stratum: str, titles: dict[str, str]) -> str:
    """A stratum in words: ``F × Lakeside Clinic``; a bare UNKNOWN or age band names its axis."""
    if axis == "all":
        return "everyone"
    named = [
        f"{_lower(titles.get(a, a))} {s}" if s == "UNKNOWN" or a == "age" else s
        for a, s in zip(axis.split(TIMES), stratum.split(TIMES), strict=True)
    ]
    return TIMES.join(named)


def _lower(title: str) -> str:
    return {"Age in years": "age"}.get(title, title[:1].lower() + title[1:])


def finding_sentence(gap: pd.Series, counts: pd.Series, titles: dict[str, str], confidence: float) -> str:
    """One flagged gap: the figure with interval and counts, against everyone else."""
    metric = metric_named(str(gap["metric"]))
    level = f"{100 * confidence:g}{NBSP}%"
    equals = "" if gap["p_adjusted"] < 0.001 else "= "
    positive = "" if counts["n_positive"] == counts["n_images"] else f", {int(counts['n_positive']):,} with the finding"
    return (
        f"{metric.title} for {gap['label']} was {number(gap['estimate'])} "
        f"({level} interval {interval(counts['ci_low'], counts['ci_high'])}; "
        f"{int(counts['n_images']):,} films of {int(counts['n_patients']):,} patients{positive}) in "
        f"{who(str(gap['axis']), str(gap['stratum']), titles)}, against {number(gap['rest'])} in everyone else: "
        f"{gap['direction']} by {number(abs(gap['gap']))} (gap {number(gap['gap'])}, {level} interval "
        f"{interval(gap['ci_low'], gap['ci_high'])}, adjusted p {equals}{p_text(gap['p_adjusted'])})."
    )


def summary_sentence(gaps: pd.DataFrame, label_count: int) -> str:
    """What the whole audit found, in one sentence."""
    tested = int((gaps["status"] == "ok").sum())
    flagged = gaps[gaps["flagged"]]
    own = flagged[flagged["explained_by"].isna()]
    labels = f"{label_count} label" + ("s" if label_count != 1 else "")
    if tested == 0:
        return "No gap could be tested: no stratum had enough patients. This does not show that there is no gap."
    if flagged.empty:
        return (
            f"None of {tested:,} gaps tested over {labels} was flagged. This does not show that there is no gap: "
            "see the widths of the intervals and what could not be said."
        )
    noun = f"gap{'s' if tested != 1 else ''} {'was' if len(flagged) == 1 else 'were'}"
    shadows = len(flagged) - len(own)
    tail = f", {shadows} of them traced to another flagged group" if shadows else ""
    return f"{len(flagged)} of {tested:,} {noun} flagged over {labels}{tail}."


def sureness_sentence(verdicts: Mapping[str, int], margin: float) -> str:
    """How many gaps are decided, one way or the other, in one or two sentences."""
    tested = sum(verdicts[name] for name in (DIFFERENT, EQUIVALENT, UNDECIDED))
    untested = sum(verdicts.values()) - tested
    if not tested:
        return "Nothing could be tested."
    text = (
        f"Of {tested:,} gaps, {verdicts[DIFFERENT]:,} are surely different, {verdicts[EQUIVALENT]:,} surely smaller "
        f"than the margin (±{number(margin)} for shares), and {verdicts[UNDECIDED]:,} undecided: this table of "
        "films is too small to say."
    )
    return text + (f" {untested:,} further gaps could not be tested at all." if untested else "")


def is_no_finding(label: str, no_finding: str) -> bool:
    """Whether the label calls a film healthy."""
    return same_label(label, no_finding)
