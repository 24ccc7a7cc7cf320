"""The two sections of a report that tell of the film: findings and impression.

A dataset keeps reports as text, one paragraph a section and mostly without headings (see
``raydino.readers.report_sections``). Headings count where they are there; else the last of several paragraphs
is the impression, and a single paragraph is the findings.
"""

from __future__ import annotations

import re
from typing import Literal

Section = Literal["findings", "impression"]
Sections = Literal["all"] | tuple[Section, ...]

_OTHERS = "history|indication|comparison|technique|examination|exam|clinical|procedure|reason|recommendation"
_HEADING = re.compile(
    rf"^[ \t]*((?:findings?|impressions?|conclusions?|{_OTHERS})\b[a-z \t,/()&-]{{0,60}}?):[ \t]*",
    re.MULTILINE | re.IGNORECASE,
)
_NAMES: dict[str, Section] = {
    "finding": "findings",
    "findings": "findings",
    "impression": "impression",
    "impressions": "impression",
    "conclusion": "impression",
    "conclusions": "impression",
}
_OURS = re.compile(r"^(?:Findings|Impression): ", re.MULTILINE)


def split_sections(text: str) -> dict[Section, str]:
    """What ``text`` holds of the two, each in one line; other sections are dropped."""
    headings = list(_HEADING.finditer(text))
    if not any(_section(heading[1]) for heading in headings):
        paragraphs = [" ".join(p.split()) for p in re.split(r"\n[ \t]*\n", text) if p.strip()]
        if len(paragraphs) < 2:
            return {"findings": paragraphs[0]} if paragraphs else {}
        return {"findings": " ".join(paragraphs[:-1]), "impression": paragraphs[-1]}
    found: dict[Section, list[str]] = {}
    for heading, end in zip(headings, [*(h.start() for h in headings[1:]), len(text)], strict=True):
        section = _section(heading[1])
        if section and text[heading.end() : end].strip():
            found.setdefault(section, []).append(" ".join(text[heading.end() : end].split()))
    return {section: " ".join(parts) for section, parts in found.items()}


def chosen_text(text: str | None, sections: Sections) -> str | None:
    """What is learnt and compared of a report: all of it, one section, or several under their headings.

    None without a report, and where it holds none of the sections.
    """
    if text is None or sections == "all":
        return text
    found = split_sections(text)
    held = [section for section in sections if section in found]
    if len(sections) == 1:
        return found[held[0]] if held else None
    return "\n\n".join(f"{section.capitalize()}: {found[section]}" for section in held) or None


def without_headings(text: str) -> str:
    """The text of ``chosen_text`` without the headings it set: equal words in every text would raise every metric."""
    return _OURS.sub("", text)


def _section(heading: str) -> Section | None:
    """FINDINGS, but also FINDINGS AND IMPRESSION, which counts as findings."""
    words = re.findall(r"[a-z]+", heading.lower())
    return next((_NAMES[word] for word in words if word in _NAMES), None)
