"""Take a film's own identifiers out of its report: names in any order, case, part and spelling.

A name is found with and without accents (Müller, Mueller, MULLER), in parts, and run together. Words of
two letters and common words (Young, Small) go where the whole name stands, or capitalised in the midst
of a sentence. Person names are split as PS3.5 6.2.1 has it: groups by ``=``, components by ``^``.
Neighbours: ``identifiers`` (where they come from), ``scrub``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import permutations

from raydino.dicom.report_words import COMMON_WORDS

MOST_PARTS = 4  # of a name whose orders are all tried
SHORTEST_WORD, SHORTEST_NUMBER = 3, 4  # letters and digits of a part that goes on its own
_BETWEEN = r"[\W_]{0,3}"
_START, _END = r"(?<![^\W_])", r"(?:'?s)?(?![^\W_])"
_ACCENTED: dict[str, str] = {}
for _code in range(0xC0, 0x250):
    _base = unicodedata.normalize("NFD", chr(_code))[0].lower()
    _ACCENTED[_base] = _ACCENTED.get(_base, "") + chr(_code)
_ACCENTED["l"] += "łŁ"
_SPELT = {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "ß": "ss", "æ": "ae"}
_IDEOGRAPHS = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]{1,}")  # written without spaces


def without_own(text: str, identifiers: Iterable[str], gap: str) -> str:
    """``text`` with ``gap`` in the place of whatever ``identifiers`` name."""
    patterns: set[str] = set()
    for identifier in dict.fromkeys(group for one in identifiers for group in one.split("=")):
        patterns.update(_patterns(unicodedata.normalize("NFC", identifier)))
    for pattern in sorted(patterns, key=lambda pattern: (-len(pattern), pattern)):
        text = re.sub(pattern, gap, text)
    return text


def _patterns(identifier: str) -> Iterator[str]:
    """The whole, and each part that is telling enough to go on its own."""
    is_person = "^" in identifier
    pieces = identifier.split("^") if is_person else [identifier]
    parts = [words for piece in pieces if (words := re.findall(r"[^\W_]+", piece))]
    words = [word for part in parts for word in part]
    if all(word.lower() in COMMON_WORDS for word in words) and not is_person:
        if len(words) > 1 and identifier.istitle():  # Chest Clinic: as it is written
            yield rf"{_START}{_BETWEEN.join(words)}{_END}"
        return
    if not is_person and len(words) <= MOST_PARTS:
        parts = [[word] for word in words]
    yield from _wholes(parts)
    for word in words:
        if _IDEOGRAPHS.fullmatch(word):
            if len(word) > 1:
                yield re.escape(word)
        elif _stands_alone(word):
            yield rf"(?i:{_START}{_spelling(word)}{_END})"
        elif is_person and len(word) > 1 and word.isalpha():
            yield rf"(?<=[a-z,] ){word.title()}{_END}"


def _wholes(parts: list[list[str]]) -> Iterator[str]:
    """Patterns of parts that stand together: all of them and any two, in any order; a part of many words too."""
    spelt = [_BETWEEN.join(_spelling(word) for word in part) for part in parts]
    lengths = [sum(map(len, part)) for part in parts]
    numbers = range(len(parts))
    sizes = {len(parts), 2} if len(parts) > 1 else {1}
    for size in sizes if len(parts) <= MOST_PARTS else {1}:
        for order in permutations(numbers, size):
            together = _BETWEEN.join(spelt[number] for number in order)
            if all(_IDEOGRAPHS.fullmatch(word) for number in order for word in parts[number]):
                yield together
            elif sum(lengths[number] for number in order) >= SHORTEST_NUMBER and (size > 1 or len(parts[order[0]]) > 1):
                yield rf"(?i:{_START}{together}{_END})"


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
        base = unicodedata.normalize("NFD", letter)[0].replace("ł", "l")
        choices = f"[{base}{_ACCENTED.get(base, '')}{letter}]"
        parts.append(f"(?:{choices}|{_SPELT[letter]})" if letter in _SPELT else choices)
        index += 1
    return "".join(parts)
