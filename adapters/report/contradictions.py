"""Sentences of a draft that say the opposite of what a classifier found on the same film.

Two cases: the text calls present what the classifier calls absent at its operating point, or denies what the
classifier calls present. What is doubtful in the text, what the classifier has no operating point for and what
either does not speak of contradicts nothing. Either may be wrong: a flag asks a person to look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.report.findings import NO_FINDING, usual_name
from adapters.report.labeller import State, read_report, split_sentences


@dataclass(frozen=True)
class Finding:
    """What a classifier says of one label of a film; ``present`` is None without an operating point."""

    probability: float  # 0..1
    threshold: float | None

    @property
    def present(self) -> bool | None:
        """The decision at the operating point."""
        return None if self.threshold is None else self.probability >= self.threshold


@dataclass(frozen=True)
class Contradiction:
    """One sentence of a draft against one label."""

    sentence: str
    label: str
    said: State  # PRESENT or ABSENT
    finding: Finding

    @property
    def reason(self) -> str:
        """For a person: what the text says and what the classifier says."""
        text, classifier = ("present", "below") if self.said == State.PRESENT else ("absent", "at or above")
        return (
            f"the text calls {self.label} {text}; the classifier gives {self.finding.probability:.2f}, "
            f"{classifier} its threshold {self.finding.threshold:.2f}"
        )


def contradictions(text: str, findings: Mapping[str, Finding]) -> list[Contradiction]:
    """In order of the sentences, then of ``findings`` (by the classifier's labels; unknown ones are passed over).

    A sentence of the text is read by itself. ``No Finding`` belongs to the whole text and is not compared.
    """
    names = {label: usual_name(label) for label, finding in findings.items() if finding.present is not None}
    compared = {label: name for label, name in names.items() if name is not None and name != NO_FINDING}
    found = []
    for sentence in split_sentences(text):
        states = read_report(sentence)
        for label, name in compared.items():
            wanted = State.ABSENT if findings[label].present else State.PRESENT
            if states[name] == wanted:
                found.append(Contradiction(sentence, label, states[name], findings[label]))
    return found


def flagged(found: Sequence[Contradiction]) -> str:
    """As one text, a line a contradiction; empty without any."""
    return "\n".join(f"{item.sentence} ({item.reason})" for item in found)
