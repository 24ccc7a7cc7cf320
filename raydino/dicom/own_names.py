"""Take a film's own identifiers out of its report: names in any order, case, part and spelling.

A name is found with and without accents (Müller, Mueller, MULLER), in parts, and run together. Short
or common words of a name go only where the whole name stands. Neighbours: ``identifiers`` (where they
come from), ``scrub``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import permutations

from raydino.dicom.report_words import COMMON_WORDS

LONGEST_ANY_ORDER = 4  # words of a name whose orders are all tried
SHORTEST_WORD, SHORTEST_NUMBER = 3, 4  # letters and digits of a part that goes on its own
_BETWEEN = r"[\W_]{0,3}"
_START, _END = r"(?<![^\W_])", r"(?:'?s)?(?![^\W_])"
_ACCENTED: dict[str, str] = {}
for _code in range(0xC0, 0x250):
    _base = unicodedata.normalize("NFD", chr(_code))[0].lower()
    _ACCENTED[_base] = _ACCENTED.get(_base, "") + chr(_code)
_SPELT = {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "ß": "ss", "æ": "ae"}


def without_own(text: str, identifiers: Iterable[str], gap: str) -> str:
    """``text`` with ``gap`` in the place of whatever ``identifiers`` name."""
    wholes, parts = [], []
    for identifier in dict.fromkeys(identifiers):
        words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", identifier))
        if words and not all(word.lower() in COMMON_WORDS for word in words):
            wholes += list(_whole(words))
            parts += [_spelling(word) for word in words if _stands_alone(word)]
        elif len(words) > 1 and "^" in identifier:  # Young^Rose: only as a whole
            wholes += list(_whole(words))
    patterns = sorted(set(wholes), key=len, reverse=True) + sorted(set(parts), key=len, reverse=True)
    for pattern in patterns:
        text = re.sub(rf"{_START}{pattern}{_END}", gap, text, flags=re.IGNORECASE)
    return text


def _whole(words: list[str]) -> Iterator[str]:
    """Patterns of several words that stand together, in any order where there are few."""
    if len(words) < 2 or sum(map(len, words)) < SHORTEST_NUMBER:
        return
    spelt = [_spelling(word) for word in words]
    if len(words) > LONGEST_ANY_ORDER:
        yield _BETWEEN.join(spelt)
        return
    yield from map(_BETWEEN.join, permutations(spelt))
    if len(words) > 2:
        yield from map(_BETWEEN.join, permutations(spelt, 2))


def _stands_alone(word: str) -> bool:
    if any(character.isdigit() for character in word):
        return sum(character.isdigit() for character in word) >= SHORTEST_NUMBER
    return len(word) >= SHORTEST_WORD and word.lower() not in COMMON_WORDS


def _spelling(word: str) -> str:
    """A pattern of a word's spellings with and without accents; of a number with leading zeros."""
    if word.isdigit():
        return f"0*{word.lstrip('0') or '0'}"
    plain, index, parts = word.lower(), 0, []
    while index < len(plain):
        pair = plain[index : index + 2]
        marked = [mark for mark, letters in _SPELT.items() if letters == pair]
        if marked:
            parts.append(f"(?:{pair}|[{''.join(marked)}{pair[0]}])")
            index += 2
            continue
        letter = plain[index]
        base = unicodedata.normalize("NFD", letter)[0]
        choices = f"[{base}{_ACCENTED.get(base, '')}{letter}]"
        parts.append(f"(?:{choices}|{_SPELT[letter]})" if letter in _SPELT else choices)
        index += 1
    return "".join(parts)
