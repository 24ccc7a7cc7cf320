"""What a report says of each finding: present, doubtful, absent or nothing. Rules only, no model.

A sentence is cut into clauses; within its clause a finding is denied by a cue before it (``no``,
``without``, ``negative for``), inside it (``not enlarged``) or after it (``has resolved``), and in doubt
by cues such as ``possible`` or ``cannot be excluded``. A denial reaches over a list that ends in ``or``.
Histories and questions (``history of``, ``evaluate for``) say nothing. Over the whole report present wins
over doubtful, doubtful over absent. Neighbour: findings (the words).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import pairwise

from adapters.report.findings import NO_FINDING, PATTERNS, usual_name

_SENTENCE = re.compile(r"(?<=[.!?])\s+|[\n;]+")
_BOUNDARY = re.compile(
    r"\b(?:but|however|although|though|except|aside from|apart from|otherwise|whereas|while)\b"
    r"|,? \band (?=(?:there|the|a|an) )|,? with (?=(?:no|a|an|small|mild|moderate|large) )"
    r"|\bthere (?:is|are|has|have)\b"
)
_NO_CUE = re.compile(  # look like denials and are none
    r"\b(?:no|without|not) (?:\w+ ){0,2}(?:changed?|increased?|decreased?|improvement|difference)(?: in| of| from)?\b"
    r"|\bnot only\b"
)
_ASKED = re.compile(
    r"\b(?:history of|evaluat\w+ for|assess(?:ment)? for|rule out|r/o|indication|status post|treated for)\b[^.,;]*$"
)
_DENIED_BEFORE = re.compile(
    r"\b(?:no|not|without|absent|absence of|negative for|free of|clear of|lack of|neither|nor|rather than|"
    r"resolved|resolution of|interval clearing of|cleared)\b"
)
_DENIED_INSIDE = re.compile(r"\b(?:not|no|nor)\b|n't\b")
_DENIED_AFTER = re.compile(
    r"\bnot (?:\w+ )?(?:seen|identified|present|evident|visible|visuali[sz]ed|demonstrated|appreciated|observed|noted)"
    r"|\b(?:has|have|had) (?:\w+ )?(?:resolved|cleared|disappeared)\b|\b(?:is|are) (?:absent|excluded|ruled out)\b"
)
_NOT_EXCLUDED = re.compile(
    r"\b(?:cannot|can not|could not|not|difficult to) (?:be )?(?:\w+ )?(?:excluded?|rule out|ruled out)\b"
)
_DOUBT = re.compile(
    r"\b(?:possib\w+|probabl\w+|likely|may|might|could|suspicious for|suspicion|suspected|suspect|suggest\w*|"
    r"questionabl\w+|concern\w* for|worrisome|versus|vs|equivocal|differential|perhaps)\b"
)
_LISTED = re.compile(r"\b(?:or|nor)\b|\w/\w")
_PRESENT = re.compile(
    r"\b(?:is|are|a|an|small|mild|moderate|large|marked|left|right|bilateral|new|increased|stable|persistent|patchy|seen)\b"
)


class State(IntEnum):
    """What a text says of a finding; the larger value wins."""

    SILENT = 0
    ABSENT = 1
    DOUBTFUL = 2
    PRESENT = 3


class Labeller:
    """Reads reports for those of a data set's ``labels`` that have known words (``labels``, in order)."""

    def __init__(self, labels: Sequence[str]) -> None:
        names = {label: usual_name(label) for label in labels}
        self._names = {label: name for label, name in names.items() if name is not None}
        self.labels = tuple(self._names)

    def mentions(self, text: str) -> dict[str, float]:
        """1.0 for each label that the text calls present or doubtful, else 0.0."""
        found = read_report(text)
        return {label: float(found[name] >= State.DOUBTFUL) for label, name in self._names.items()}


def read_report(text: str) -> dict[str, State]:
    """The state of every finding known to ``findings``, and of ``no finding``.

    ``no finding`` is PRESENT when a text names no finding as present or doubtful, devices apart.
    """
    states = dict.fromkeys(PATTERNS, State.SILENT)
    for clause in _clauses(text):
        for name, pattern in PATTERNS.items():
            for match in pattern.finditer(clause):
                states[name] = max(states[name], _state(clause, match.start(), match.end()))
    findings = [state for name, state in states.items() if name != "support devices"]
    clear = bool(text.strip()) and max(findings) < State.DOUBTFUL
    return states | {NO_FINDING: State.PRESENT if clear else State.ABSENT}


def _clauses(text: str) -> Iterator[str]:
    for sentence in _SENTENCE.split(text.lower()):
        plain = _NO_CUE.sub(" ", " ".join(sentence.split()))
        cuts = [0, *(match.start() for match in _BOUNDARY.finditer(plain)), len(plain)]
        yield from (plain[start:stop] for start, stop in pairwise(cuts) if stop > start)


def _state(clause: str, start: int, stop: int) -> State:
    before, inside, after = clause[:start], clause[start:stop], clause[stop:]
    if _ASKED.search(before):
        return State.SILENT
    if _NOT_EXCLUDED.search(clause):
        return State.DOUBTFUL
    if _DENIED_INSIDE.search(inside) or _DENIED_AFTER.search(after) or _reached_by_denial(clause, start):
        return State.ABSENT
    return State.DOUBTFUL if _DOUBT.search(clause) else State.PRESENT


def _reached_by_denial(clause: str, start: int) -> bool:
    """Whether a denial before ``start`` still holds there, across the commas in between."""
    cues = list(_DENIED_BEFORE.finditer(clause, 0, start))
    if not cues:
        return False
    reach = cues[-1].end()
    between, rest = clause[reach:start].split(","), clause[start:].split(",")
    if len(between) == 1 or any(_LISTED.search(item) for item in (between[-1], *rest)):
        return True
    return not any(_PRESENT.search(item) for item in between[1:])
