"""Rules that find identifiers in any report: dates, numbers, addresses, titled names, ages above 89.

Each rule asks for a sign that an ordinary finding lacks (a label, a title, a month, a length), so that
``T1``, ``5 mm``, ``C6``, ``stage 2``, ``Kerley B`` and ``Hampton hump`` stay. Neighbour: ``scrub``.
"""

from __future__ import annotations

import re
from re import Match, Pattern

from raydino.dicom.report_words import COMMON_WORDS

GAP = "___"
OLDEST_TOLD = 89  # ages above it are told as 90+


def _any(*patterns: str, flags: re.RegexFlag = re.NOFLAG) -> Pattern[str]:
    return re.compile("|".join(patterns), flags)


MAIL_AND_WEB = _any(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    r"\b(?:https?://|ftp://|www\.)\S+",
    r"\b(?:\d{1,3}\.){3}\d{1,3}\b",  # internet addresses
    flags=re.IGNORECASE,
)

_YEAR = r"(?:1[89]\d\d|2[01]\d\d)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_UNITS = r"(?:mm|cm|ml|cc|m|kg|g|%|x|days?|weeks?|months?|hours?|ribs?)\b"
_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug"
    "|sept?|oct|nov|dec|januar|jänner|februar|märz|maerz|mai|juni|juli|oktober|okt|dezember|dez|janvier|février|fevrier"
    "|mars|avril|juin|juillet|août|aout|septembre|octobre|novembre|décembre|decembre|enero|febrero|marzo|abril|mayo"
    "|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre"
    "|ottobre|dicembre|janeiro|fevereiro|março|marco|maio|junho|julho|setembro|outubro|novembro|dezembro|januari"
    "|februari|maart|mei|augustus"
)
_AMBIGUOUS = ("may", "march", "mars", "mar", "mai", "mei", "dec", "marco")  # words or names as well
_OF = r"(?:(?:of|de|del|di)\s+)?"
NUMERIC_DATES = _any(
    rf"(?<![\d.,/-]){_YEAR}([-/.])\d{{1,2}}\1\d{{1,2}}(?![\d/-])",  # 1956-02-29
    rf"(?<![\w.,/-])\d{{1,2}}([-/.])\d{{1,2}}\2(?:{_YEAR}|\d\d)(?![\w/-]|\.\d)",  # 29.02.1956, 2/29/56
    rf"(?<![\w.,/-])(?:0?[1-9]|1[0-2])[-/.]{_YEAR}(?![\w/-]|\.\d)",  # 02/1956
    r"(?:(?<=\bon )|(?<=\bfrom )|(?<=\bdated ))\d{1,2}/\d{1,2}(?![\d/])",  # on 2/29
    r"(?<![\d:])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s?(?:[ap]\.?m\b\.?|hrs\b|hours\b|h\b|uhr\b))?(?![\d:])",
    r"(?<=\bat )[0-2]\d[0-5]\d(?= ?(?:h|hrs|hours)\b)",  # at 1742 hours
    flags=re.IGNORECASE,
)
MONTH_DATES = _any(
    rf"\b{_DAY}(?:st|nd|rd|th|er|º|°|\.)?[\s-]*{_OF}(?P<month>{_MONTHS})\b\.?"
    rf"(?:[\s,-]*{_OF}(?P<year>{_YEAR}|'?\d\d(?!\d)))?(?!\s*{_UNITS})",  # 29th of February 1956
    rf"\b(?P<month2>{_MONTHS})\b\.?[\s,-]*{_DAY}(?:st|nd|rd|th)?\b(?:[\s,]+(?P<year2>{_YEAR}))?"
    rf"(?!\s*-?{_UNITS}|\.\d)",  # Feb 29, 1956
    rf"\b(?P<month3>{_MONTHS})\b\.?[\s,]*{_OF}(?P<year3>{_YEAR})\b",  # February 1956
    flags=re.IGNORECASE,
)

_LABELS = (
    r"MRN|medical record|accession|acc|patient id|pat(?:ient)?[ .-]*(?:id|nr|no)|chart|account|encounter|visit|SSN|NHS"
    r"|social security|insurance|policy|licen[cs]e|order|exam|case|file|fall|auftrag|dossier|IPP|pager|phone|telephone"
    r"|tel|fax|mobile|cell|ext|extension|beeper|ID|plate|serial|S/N|device"
)
_NUMBER_WORD = r"(?:\s?(?:numbers?|num|no|nr|id)\b\.?)?"
NUMBERS = _any(
    rf"\b(?:{_LABELS})\b\.?{_NUMBER_WORD}\s?[:#]\s?#?\s?[A-Z]{{0,5}}[-_]?\d[\w./-]+\w",  # Accession #: A123
    r"\bMRN\s?[A-Z]{0,5}\d[\w-]+|#\s?\d[\w-]{2,}|\b(?:pager|ext\.?|beeper|tel\.?)\s\d{3,}",
    r"(?<![\w+])\+\d{1,3}(?:[\s./-]?\(?\d{1,5}\)?){2,6}",  # +49 89 4140-0
    r"(?<![\w(])\(?\d{3}\)?[\s./-]?\d{3}[-.\s]\d{4}\b|\b\d{3}-\d{4}\b",  # (317) 555-0199
    r"\b\d{3}-\d{2}-\d{4}\b",  # social security
    r"\b\d+(?:\.\d+){4,}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",  # UIDs
    r"(?<![\w.,])\d{6,}(?![\w]|[.,]\d)|\b[A-Z]{1,6}[-_]?\d{5,}\w*|\b\d{2,}-\d{5,}\b",  # other long numbers
    flags=re.IGNORECASE,
)

_CAPITAL = "[A-Z" + "".join(chr(code) for code in range(0xC0, 0x250) if chr(code).isupper()) + "]"
_PARTICLES = "van|von|vom|zu|de|der|den|di|da|del|della|dos|la|le|al|el|bin|ibn"
_NAME = rf"(?:(?i:{_PARTICLES})[ \t]+)*{_CAPITAL}(?:[\w'’-]+|\.)"  # a capitalised word or an initial
_NAMES = rf"{_NAME}(?:[ \t]+{_NAME}){{0,3}}"
_TITLES = (
    r"Drs?|DRS?(?=\.)|Doctor|Prof|PROF(?=\.)|Professor|Mr|MR(?=\.)|Mrs|MRS(?=\.)|Ms|MS(?=\.)|Miss|Herrn?|Frau|Mme|Mlle"
    r"|Monsieur|Madame|Sra?(?=\.)|Señora?|Dott(?:oressa)?|Nurse|Schwester"
)
_MORE_TITLES = r"(?:(?:med|habil|dent|Dr|DR|Prof|PROF)\.?[ \t]+)*"
_SIGNED = (
    r"(?:electronically\s+)?(?:signed|dictated|transcribed|read|reported|verified|approved|finali[sz]ed|interpreted"
    r"|attested|performed|typed|befundet|unterzeichnet)(?:\s+electronically)?\s+(?:by|von|par)\b:?\s*"
)
_CREDENTIALS = r"(?:M\.?D|D\.?O|Ph\.?D|RN|FRCR|MBBS|R\.?T)\b"
TITLED = _any(
    rf"(?P<title>\b(?:{_TITLES})\b\.?[ \t]*{_MORE_TITLES})(?P<name>{_NAMES})",  # Prof. Dr. med. X
    rf"(?P<signed>\b(?i:{_SIGNED}))(?P<name2>{_NAMES})",  # Electronically signed by: X
    rf"(?P<name3>{_NAME}(?:[ \t]+{_NAME}){{1,3}})(?=,?[ \t]+{_CREDENTIALS})",  # X Y, MD
)

_WORD = rf"(?:St\.|{_CAPITAL}[\w'’-]+)"
_STREETS = (
    "Street|Avenue|Ave|Road|Lane|Boulevard|Blvd|Drive|Court|Place|Square|Terrace|Highway|Parkway|Crescent|Close|Row"
)
_HOSPITALS = (
    "Hospital|Clinic|Infirmary|Medical Cent(?:er|re)|Health Cent(?:er|re)|Nursing Home|Klinikum|Klinik|Krankenhaus"
)
_HOSPITALS_FIRST = "Hôpital|Hopital|Hospital|Ospedale|Cl[íi]nica|(?:Universitäts)?[Kk]linikum|Klinik|Krankenhaus"
PLACES = _any(
    rf"\b\d{{1,5}}[a-zA-Z]?,? (?:{_WORD} ){{1,4}}(?:{_STREETS}|St|Rd|Ln|Dr)\b\.?",  # 12 Nowhere Lane
    rf"\b{_CAPITAL}[\w-]*(?:straße|strasse|str\.|weg|platz|gasse|allee) \d{{1,4}}[a-z]?\b",  # Ismaninger Straße 22
    rf"\b{_CAPITAL}[\w-]+ (?:Straße|Strasse|Str\.|Weg|Platz|Allee) \d{{1,4}}[a-z]?\b",
    rf"\b(?:rue|avenue|boulevard|calle|via|viale|piazza|rua|avenida) (?:(?:de|du|des|del|della|da|do|la|le) )*"
    rf"{_WORD}(?: {_WORD})*,? \d{{1,4}}\b",
    r"\bP\.?\s?O\.?\s?Box \d+",
    r"\b[A-Z]{2} \d{5}(?:-\d{4})?\b|\b[A-Z]{1,2}\d[A-Z\d]? \d(?!TH|ST|ND|RD|MM|CM)[A-Z]{2}\b",  # post codes
    rf"(?P<place>(?:\b{_WORD} ){{1,5}})(?P<kind>{_HOSPITALS})\b",
    rf"(?P<kind2>\b(?:{_HOSPITALS_FIRST}) (?:(?:de|del|della|di|du|des|la|le|San|Santa|Saint|St\.) )*)"
    rf"(?P<place2>{_WORD}(?: {_WORD})*)",
)

AGES = _any(
    r"(?<![\d.,/-])(?P<age>\d{2,3})(?=[\s-]*(?:(?:years?|yrs?|y)\b|y\.?/?o\b|(?:J|j)(?:ahr|ähr)|ans\b|años\b|anos\b"
    r"|anni\b|jaar\b))",
    r"(?i:\b(?:aged?|alter|âge|edad|età)\b[\s:]*(?:of\s+|de\s+)?)(?P<age2>\d{2,3})(?!\d|\.\d|\s*%)",
    r"(?<![\d.,/-])(?P<age3>\d{2,3})(?=[MF]\b|\s[MF]\s(?:with|w/|c/o|h/o|s/p|presenting|status)(?!\w))",
)


def without_month_date(found: Match[str]) -> str:
    """A gap for a date with a month in words. ``may 2`` in small letters, without a year, is no date."""
    month = found["month"] or found["month2"] or found["month3"]
    is_dated = found["year"] or found["year2"] or found["year3"]
    return found[0] if month in _AMBIGUOUS and not is_dated else GAP


def without_name(found: Match[str]) -> str:
    """A gap for the name after a title or "signed by"; common words that follow it stay.

    In a text of capitals every word looks like a name, so there a common word ends one at once, and
    elsewhere from its third word on (José Small).
    """
    lead, name = found["title"] or found["signed"] or "", found["name"] or found["name2"] or found["name3"]
    words = [w for w in re.finditer(r"\S+", name) if not re.fullmatch(_PARTICLES, w[0], re.IGNORECASE)]
    later = words[1:] if name.isupper() else words[2:]
    common = next((w.start() for w in later if w[0].lower() in COMMON_WORDS), None)
    return f"{lead}{GAP}" if common is None else f"{lead}{GAP} {name[common:]}"


def without_place(found: Match[str]) -> str:
    """A gap for an address, or for the name of a hospital; ``The Outside Hospital`` has none."""
    if found["place2"]:
        return found[0] if found["place2"].split()[0].lower() in COMMON_WORDS else f"{found['kind2']}{GAP}"
    if not found["place"]:
        return GAP
    words = found["place"].split()
    named = next((i for i, word in enumerate(words) if word.strip(".").lower() not in COMMON_WORDS), None)
    return found[0] if named is None else " ".join([*words[:named], GAP, found["kind"]])


def capped_age(found: Match[str]) -> str:
    """``90+`` for an age above 89."""
    age = found["age"] or found["age2"] or found["age3"]
    return found[0].replace(age, f"{OLDEST_TOLD + 1}+") if OLDEST_TOLD < int(age) <= 120 else found[0]
