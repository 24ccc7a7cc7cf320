"""Words and n-grams, the same for every text metric.

Published figures differ by their tokenisation as much as by their models. Here: lower case, runs of
letters and digits, decimal numbers whole, punctuation dropped. A full stop counted as a word, as some
papers do, would raise BLEU, since every text has them.
"""

from __future__ import annotations

import re
from collections import Counter

MAX_ORDER = 4  # n-grams of 1 to 4 words, in BLEU and in CIDEr
Ngrams = Counter[tuple[str, ...]]
_WORD = re.compile(r"\d+(?:\.\d+)+|[^\W_]+")


def words(text: str) -> list[str]:
    """``"No effusion; ratio 0.61."`` is ``no effusion ratio 0.61``."""
    return _WORD.findall(text.lower())


def ngrams(tokens: list[str], order: int) -> Ngrams:
    """How often each run of ``order`` words stands in ``tokens``."""
    return Counter(zip(*(tokens[start:] for start in range(order)), strict=False))
