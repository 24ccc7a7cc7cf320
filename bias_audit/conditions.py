"""``--fail-on``: conditions under which a run of the audit ends with exit code 3, for monitoring and CI.

    CONDITION = QUANTITY OPERATOR NUMBER       e.g. flagged>0, gap:auroc>0.05, widening:sensitivity>=0.1
    OPERATOR  = > | >= | < | <=

Quantities are counts of verdicts, or the largest gap of a metric: as estimated, or (``sure_…``) as far as its interval
lies beyond 0. A quantity that has no value, since nothing could be tested, meets no condition and is told as such.
Neighbours: ``commands``, ``compare``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd

from bias_audit.metrics import METRICS
from raydino.errors import UserError

EXIT_CODE = 3  # a condition holds; 0 good, 2 the user's fault, 1 ours
OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
COUNTS = ("flagged", "different", "equivalent", "undecided", "untested")
SIZES = ("gap", "sure_gap")
CHANGE_COUNTS = ("widened", "narrowed", "worse", "better")
CHANGE_SIZES = ("widening", "sure_widening")
_FORM = re.compile(r"\s*([a-z_]+)(?::([A-Za-z0-9_]+))?\s*(>=|<=|>|<)\s*([0-9.]+(?:e-?[0-9]+)?)\s*")


@dataclass(frozen=True)
class Condition:
    """One parsed condition."""

    text: str
    quantity: str  # "flagged", "gap:auroc"
    sign: str
    number: float

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it holds among ``values`` of quantities; never where the quantity has no value."""
        value = values.get(self.quantity, float("nan"))
        return bool(not np.isnan(value) and OPERATORS[self.sign](value, self.number))


def parse_conditions(texts: Iterable[str], *, comparison: bool = False) -> list[Condition]:
    """Conditions of a single audit, or of a comparison. Raises UserError with what would be right."""
    counts, sizes = (CHANGE_COUNTS, CHANGE_SIZES) if comparison else (COUNTS, SIZES)
    return [_parse(text, counts, sizes) for text in texts]


def _parse(text: str, counts: tuple[str, ...], sizes: tuple[str, ...]) -> Condition:
    where = f"--fail-on {text!r}"
    match = _FORM.fullmatch(text)
    if match is None:
        raise UserError(
            "cannot be read", where=where, remedy=f"write it as {counts[0]}>0 or {sizes[0]}:auroc>0.05, in quotes"
        )
    name, metric, sign, number = match.groups()
    if name not in counts + sizes:
        near = get_close_matches(name, counts + sizes, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(counts + sizes)}"
        raise UserError(f"no quantity is called {name!r}", where=where, remedy=hint)
    if (metric is None) != (name in counts):
        what = f"{name} needs a metric" if metric is None else f"{name} is a count and takes no metric"
        raise UserError(
            what, where=where, remedy=f"write it as {name}{':auroc' if metric is None else ''}{sign}{number}"
        )
    if metric is not None and metric not in METRICS.plugins():
        near = get_close_matches(metric, METRICS.plugins(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(METRICS.plugins())}"
        raise UserError(f"no metric is called {metric!r}", where=where, remedy=hint)
    try:
        value = float(number)
    except ValueError:
        raise UserError(f"{number!r} is not a number", where=where) from None
    return Condition(text, name if metric is None else f"{name}:{metric}", sign, value)


def audit_quantities(gaps: pd.DataFrame) -> dict[str, float]:
    """Every quantity of a single audit, from its table of gaps."""
    verdict = gaps["verdict"].value_counts()
    values = {name: float(verdict.get(name, 0)) for name in ("different", "equivalent", "undecided")}
    values["flagged"] = float(gaps["flagged"].sum())
    values["untested"] = float((gaps["status"] != "ok").sum())
    for metric, rows in gaps[gaps["status"] == "ok"].groupby("metric"):
        values[f"gap:{metric}"] = float(rows["gap"].abs().max())
        values[f"sure_gap:{metric}"] = float(beyond_zero(rows["ci_low"], rows["ci_high"]).max())
    return values


def beyond_zero(low: pd.Series, high: pd.Series) -> pd.Series:
    """How far an interval lies away from 0; 0 where it holds 0."""
    return np.maximum(np.maximum(low, -high), 0.0)


def told(conditions: Iterable[Condition], values: Mapping[str, float]) -> list[str]:
    """One line for each condition that holds."""
    held = [condition for condition in conditions if condition.holds(values)]
    return [f"--fail-on {one.text!r} holds: {one.quantity} is {values[one.quantity]:g}" for one in held]
