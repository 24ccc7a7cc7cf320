"""What a report says of each finding: present, doubtful, absent or nothing. Rules only, no model.

A sentence is cut into clauses; within its clause a finding is denied by a cue before it (``no``,
``without``, ``negative for``), inside it (``not enlarged``) or after it (``has resolved``), and in doubt
by a cue before it (``possible``, ``may represent``), after it (``is suspected``) or as one of several
(``atelectasis or infiltrate``, ``versus``). ``Opacity that may represent pneumonia`` doubts the pneumonia, not
the opacity. Denial and doubt reach over a list that ends in ``or``. ``Normal`` organs deny what enlarges them.
Histories and questions (``history of``, ``evaluate for``) say nothing. Over the whole report present wins
over doubtful, doubtful over absent. Neighbour: findings (the words).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import pairwise

from adapters.report.findings import NO_FINDING, NORMAL, PATTERNS, usual_name

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
    r"resolved|resolution of|interval clearing of|cleared|removal of)\b"
)
_DENIED_INSIDE = re.compile(r"\b(?:not|no|nor)\b|n't\b")
_DENIED_AFTER = re.compile(
    r"\b(?:not|no longer) (?:\w+ )?(?:seen|identified|present|evident|visible|visuali[sz]ed|demonstrated|appreciated"
    r"|observed|noted)"
    r"|\b(?:has|have|had) (?:\w+ )?(?:resolved|cleared|disappeared|been removed)\b"
    r"|\b(?:is|are) (?:\w+ )?(?:absent|excluded|ruled out|unlikely)\b"
    r"|^\s*: ?(?:none|no|absent|negative)\b"
)
_NOT_EXCLUDED = re.compile(
    r"\b(?:cannot|can not|could not|not|difficult to) (?:be )?(?:\w+ )?(?:excluded?|rule out|ruled out)\b"
)
_DOUBT_BEFORE = re.compile(
    r"\b(?:possib\w+|probabl\w+|likely|may|might|could|suspicious for|suspicion|suspected|suspect|suggest\w*|"
    r"questionabl\w+|question of|concern\w* for|worrisome|versus|vs|equivocal|differential|perhaps|borderline)\b"
)
_DOUBT_AFTER = re.compile(
    r"\b(?:is|are|was|were|also|remains?) (?:\w+ )?(?:possible|probable|likely|suspected|questioned|equivocal)\b"
    r"|\b(?:may|might|could) (?:also )?be (?:present|there|considered|seen)\b"
    r"|^[^,]*\b(?:versus|vs)\b"
)
_OR_AFTER = re.compile(r"^(?: [\w-]+){0,3}? (?:and/)?or\b")
_OR_BEFORE = re.compile(r"(?<!\bone )(?<!\d )\bor (?!two|three|more|\d)(?:[\w-]+ ){0,2}$")
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
    for sentence in _sentences(text):
        for name, normal in NORMAL.items():
            if normal.search(sentence):
                states[name] = max(states[name], State.ABSENT)
        for clause in _clauses(sentence):
            for name, pattern in PATTERNS.items():
                for match in pattern.finditer(clause):
                    states[name] = max(states[name], _state(clause, match.start(), match.end()))
    findings = [state for name, state in states.items() if name != "support devices"]
    clear = bool(text.strip()) and max(findings) < State.DOUBTFUL
    return states | {NO_FINDING: State.PRESENT if clear else State.ABSENT}


def _sentences(text: str) -> Iterator[str]:
    """In lower case, single spaces."""
    yield from (" ".join(sentence.split()) for sentence in split_sentences(text.lower()))


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text`` as they stand, without the blanks around them."""
    return [stripped for sentence in _SENTENCE.split(text) if (stripped := sentence.strip())]


def _clauses(sentence: str) -> Iterator[str]:
    plain = _NO_CUE.sub(" ", sentence)
    cuts = [0, *(match.start() for match in _BOUNDARY.finditer(plain)), len(plain)]
    yield from (plain[start:stop] for start, stop in pairwise(cuts) if stop > start)


def _state(clause: str, start: int, stop: int) -> State:
    before, inside, after = clause[:start], clause[start:stop], clause[stop:]
    if _ASKED.search(before):
        return State.SILENT
    if _NOT_EXCLUDED.search(clause):
        return State.DOUBTFUL
    if _DENIED_INSIDE.search(inside) or _DENIED_AFTER.search(after) or _reached_by(_DENIED_BEFORE, clause, start):
        return State.ABSENT
    one_of_several = _OR_AFTER.search(after) or _OR_BEFORE.search(before)
    if one_of_several or _DOUBT_BEFORE.search(inside) or _DOUBT_AFTER.search(after):
        return State.DOUBTFUL
    return State.DOUBTFUL if _reached_by(_DOUBT_BEFORE, clause, start) else State.PRESENT


def _reached_by(cue: re.Pattern[str], clause: str, start: int) -> bool:
    """Whether a ``cue`` before ``start`` still holds there, across the commas in between."""
    cues = list(cue.finditer(clause, 0, start))
    if not cues:
        return False
    reach = cues[-1].end()
    between, rest = clause[reach:start].split(","), clause[start:].split(",")
    if len(between) == 1 or any(_LISTED.search(item) for item in (between[-1], *rest)):
        return True
    return not any(_PRESENT.search(item) for item in between[1:])
