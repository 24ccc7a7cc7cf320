"""The sections of a report that describe its films: findings and impression.

History, comparison and technique tell what no film shows, so a report decoder is not to learn them.
"""

from __future__ import annotations

import re

DESCRIBING = ("FINDINGS", "FINDING", "IMPRESSION", "CONCLUSION", "CONCLUSIONS")
_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z \t,/()&-]{2,60}?):[ \t]*", re.MULTILINE)


def findings_and_impression(text: str) -> str | None:
    """Their text, one paragraph a section; the whole text where no section bears such a heading.

    A section starts with a heading in capitals and a colon at the start of a line. None where nothing is left.
    """
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    sections = [
        _flowing(text[heading.end() : end])
        for heading, end in zip(headings, ends, strict=False)  # without headings there is still an end
        if _is_describing(heading[1])
    ]
    return ("\n\n".join(filter(None, sections)) if sections else _flowing(text)) or None


def _is_describing(heading: str) -> bool:
    """FINDINGS, but also FINDINGS AND IMPRESSION."""
    return not set(re.findall(r"[A-Z]+", heading)).isdisjoint(DESCRIBING)


def _flowing(text: str) -> str:
    """In single spaces; an empty line stays the end of a paragraph."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n[ \t]*\n", text))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
