"""Free text without identifiers: a report's own film tells what to take out, rules find what is left.

Kinds of identifiers: HIPAA Safe Harbor (45 CFR 164.514(b)(2)) as PS3.15 Annex E means it for text. What
goes becomes ``___``, ages above 89 become ``90+``. Years alone stay, and so do measures, vertebrae and
signs that are called after people. Rules are no proof: docs/privacy.md says what they were measured to
find. Neighbours: ``own_names`` (the film's identifiers), ``text_rules`` (the rest), ``report_words``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from raydino.dicom.own_names import without_own
from raydino.dicom.text_rules import (
    AGES,
    GAP,
    MAIL_AND_WEB,
    MONTH_DATES,
    NUMBERS,
    NUMERIC_DATES,
    PLACES,
    TITLED,
    capped_age,
    without_month_date,
    without_name,
    without_place,
)


def scrub(text: str, identifiers: Iterable[str] = ()) -> str:
    """``text`` without ``identifiers`` (of its film's header and source) and without what rules find.

    Scrubbing twice changes nothing. Line breaks and the rest of the text stay as they are.
    """
    text = unicodedata.normalize("NFC", text)
    text = MAIL_AND_WEB.sub(GAP, text)
    text = without_own(text, identifiers, GAP)
    text = NUMERIC_DATES.sub(GAP, text)
    text = MONTH_DATES.sub(without_month_date, text)
    text = NUMBERS.sub(GAP, text)
    text = TITLED.sub(without_name, text)
    text = PLACES.sub(without_place, text)
    text = AGES.sub(capped_age, text)
    return re.sub(rf"{GAP}(?:[ \t]*[,^]?[ \t]*{GAP})+", GAP, text)
