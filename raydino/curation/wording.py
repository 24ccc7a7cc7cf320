"""The curation report in plain sentences and rounded figures.

Neighbours: ``composition`` and ``tree`` count, ``report`` lays these sentences out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from raydino.artifacts.selection import REASONS
from raydino.curation.composition import NO_FINDING, UNKNOWN, Composition, Group, Pool
from raydino.curation.tree import Sizes

NBSP = "\u00a0"
LEAST_SHARE = 0.01  # of the pool: a group of less is not named as having lost or gained most
REASON_TITLES = {
    "exact_duplicate": ("Exact duplicate", "the same as one that stays"),
    "near_duplicate": ("Near duplicate", "nearly the same as one that stays"),
    "leak": ("Leak", "linked by near duplicates to a protected split"),
    "not_retrieved": ("Not retrieved", "not near enough to the queries"),
    "not_sampled": ("Not sampled", "beyond the budget of the sampling"),
    "selected": ("Selected", "for pretraining"),
}
_COUNTED = ("exact_duplicate", "near_duplicate", "leak")  # reasons that are nouns


def number(value: float, digits: int = 2) -> str:
    """A figure with ``digits`` decimals, or a dash for what has none."""
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def effective(value: float) -> str:
    """An effective number of groups, with a decimal below 100."""
    return f"{value:,.0f}" if value >= 100 else number(value, 1)


def percent(share: float) -> str:
    """``12 %`` with a no-break space; below ten per cent with a decimal."""
    if not math.isfinite(share):
        return "–"
    digits = 1 if 0 < share < 0.0995 else 0
    small = 0 < share < 0.0005
    return f"<{NBSP}0.1{NBSP}%" if small else f"{100 * share:.{digits}f}{NBSP}%"


def count(n: int, noun: str) -> str:
    """``1 film``, ``2,199 films``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def joined(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def fate_sentence(pool: Pool, reasons: Mapping[str, int], noun: str) -> str:
    """How many were selected, and why the others were not."""
    n_pool, n_selected = len(pool.selected), int(pool.selected.sum())
    drawn = ", to be drawn by weight," if pool.is_weighted else ""
    verb = "was" if n_selected == 1 else "were"
    head = f"Of {count(n_pool, noun)}, {n_selected:,} ({percent(n_selected / n_pool)}) {verb} selected{drawn}"
    n_left = n_pool - n_selected
    if not n_left:
        return f"{head} and none left out."
    why = [_because(reason, reasons[reason]) for reason in REASONS if reasons.get(reason)]
    return f"{head} and {n_left:,} left out: {joined(why)}."


def _because(reason: str, n: int) -> str:
    words = REASON_TITLES[reason][0].lower()
    return count(n, words) if reason in _COUNTED else f"{n:,} {words}"


def balance_sentence(top: Sizes | None, compositions: Sequence[Composition], noun: str) -> str:
    """What became of the clusters' balance, and who lost most."""
    parts = []
    if top is not None:
        before, after = top.even_before.kl, top.even_after.kl
        moved = (
            "as even as" if abs(after - before) < 0.005 else "more even than" if after < before else "less even than"
        )
        parts.append(
            f"over {count(len(top.before), 'cluster')} the selection is {moved} the pool "
            f"(KL to uniform {number(before, 3)} → {number(after, 3)} nats)"
        )
    losers = extremes(compositions, gained=False)
    if losers:
        _, name, group = losers[0]
        parts.append(f"of the groups that we can tell apart, {name} lost most: {_shares(group)}")
    if not parts:
        return f"Nothing is known of these {noun}s that would tell how balanced they are."
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def extremes(
    compositions: Iterable[Composition], *, gained: bool, at_most: int = 3
) -> list[tuple[Composition, str, Group]]:
    """The known groups that lost (or gained) most of their share, with what to call them, the most first.

    Groups of few films or below LEAST_SHARE of the pool are passed over, and so are groups within a twentieth of
    their share before: one of these is by chance always the last.
    """
    found = [
        (composition, name_of(composition, group), group)
        for composition in compositions
        for group in composition.groups
        if group.name not in (UNKNOWN, NO_FINDING) and not group.is_few and group.share_before >= LEAST_SHARE
    ]
    moved = [one for one in found if (one[2].ratio > 1.05 if gained else one[2].ratio < 0.95)]
    return sorted(moved, key=lambda one: (-one[2].ratio if gained else one[2].ratio, one[1]))[:at_most]


def name_of(composition: Composition, group: Group) -> str:
    """``site Lakeside Clinic``, ``age 40–59``."""
    title = {"Age in years": "age"}.get(composition.title, composition.title[:1].lower() + composition.title[1:])
    return f"{title} {group.name}"


def group_sentence(name: str, group: Group) -> str:
    """One group's fate in counts, shares and patients."""
    patients = f", of {group.patients_before:,} patients {group.patients_after:,} left" if group.patients_before else ""
    return (
        f"{name[:1].upper()}{name[1:]}: {group.before:,} → {group.after:,} films{patients}; {_shares(group)} "
        f"(ratio {number(group.ratio)})"
    )


def _shares(group: Group) -> str:
    return f"{percent(group.share_before)} of the pool, {percent(group.share_after)} of the selection"
