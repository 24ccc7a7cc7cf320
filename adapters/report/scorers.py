"""Drafts against the reports that people wrote: our own metrics, and others' through a plug-in.

A scorer is a function ``(drafts, references) -> {figure: value}`` on lists of texts of equal length; a value is
None where it is undefined. CheXbert's and RadGraph's need weights under their own terms, so they are not here: a
package that wraps them declares an entry point in the group ``raydino.report_scorers``, and a recipe names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from adapters.report.agreement import FOURTEEN, Agreement, agreement, read
from adapters.report.metrics.corpus import TextScores
from raydino.errors import UserError
from raydino.registry import Registry

Scorer = Callable[[Sequence[str], Sequence[str]], Mapping[str, float | None]]
SCORERS = Registry("report scorer", "raydino.report_scorers", {})


def figures_against_references(
    drafts: Sequence[str], references: Sequence[str | None], patients: Sequence[str], scorers: Sequence[str] = ()
) -> dict[str, float | None]:
    """All figures over the films that have a reference; ``n_references`` says how many.

    Text metrics come with ``<figure>_low`` and ``<figure>_high``, the 95 % interval over patients; clinical agreement
    as in ``agreement``, with F1 of each finding as ``f1_to_reference_<finding>``; scorers' figures under
    ``<scorer>_<figure>``.
    """
    compared = [(d, r, p) for d, r, p in zip(drafts, references, patients, strict=True) if r is not None]
    said, wanted = [draft for draft, _, _ in compared], [reference for _, reference, _ in compared]
    scores = TextScores(said, wanted)
    figures: dict[str, float | None] = {"n_references": len(compared), **scores.figures()}
    for name, interval in scores.intervals([patient for _, _, patient in compared]).items():
        figures[f"{name}_low"], figures[f"{name}_high"] = interval or (None, None)
    states = read(said), read(wanted)
    figures |= agreement(*states)
    f1 = Agreement.of(*states, "present_or_doubtful").figures()["f1"]
    for finding, value in zip(FOURTEEN, f1.tolist(), strict=True):
        figures[f"f1_to_reference_{finding}"] = value if math.isfinite(value) else None
    for name in scorers:
        figures |= _scored(name, said, wanted)
    return figures


def require_scorers(names: Sequence[str]) -> None:
    """Raise UserError for a name that no package registers, before anything is fitted."""
    for name in names:
        SCORERS.get(name)


def _scored(name: str, drafts: Sequence[str], references: Sequence[str]) -> dict[str, float | None]:
    scorer: Scorer = SCORERS.get(name)
    try:
        found = {f"{name}_{figure}": _number(value) for figure, value in scorer(drafts, references).items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"the report scorer {name!r} fails ({error})", remedy="tell its package's authors") from error
    return found


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
