"""What the words of a header say of an examination: chest or another part, and the view.

Hospitals write these in their own language, so texts are folded (capitals, no accents) and looked
up among the words that radiology departments use. Codes: PS3.16 CID 4010 (views), CID 4009 and Annex
L (anatomic regions), CPT and CCAM (procedures). Neighbours: ``header`` collects the texts, ``screen``
decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

VIEWS = ("PA", "AP", "LATERAL", "UNKNOWN")
_SPECIAL = str.maketrans({"ß": "SS", "ø": "O", "ł": "L", "đ": "D", "æ": "AE", "ı": "I", "Ø": "O", "Ł": "L", "Đ": "D"})


def fold(text: str) -> str:
    """Capitals without accents; whatever is neither letter nor digit is one space."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_SPECIAL).upper())
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFC", bare)).split())


# Chest and lungs in English, German, Dutch, the Romance, Nordic and Slavic languages, Hungarian, Finnish,
# Turkish, Vietnamese and Indonesian. What follows THORAC- is no evidence: a thoracic spine is no chest.
_CHEST = re.compile(
    r"\b(?:(?:P|PORT|PED|PAED)?CHEST|C ?X ?R|\w*THORAX\w*|TORAX|TORAKS\w*|TORACE|LUNGS?|LUNGEN?|LONGEN|LUNG[OE]R"
    r"|POUMONS?|POLMON[EI]|PULMAO|PULMOES|PULMON\w*|PLUCA|PLICE|PLIC|HRUDNIKU?|KLATK\w* PIERSIOW\w*|KLP|GRUDNI\w*"
    r"|MELLKAS\w*|KEUHKO\w*|AKCIGER\w*|GOGUS|BROSTKORG\w*|BRYSTKASSE\w*|BRUSTKORB\w*|BRUSTORGANE?|NGUC|PHOI|PARU)\b"
)
_CHEST_ELSEWHERE = [fold(word) for word in ("胸部", "胸片", "肺", "흉부", "ГРУДН", "ЛЕГКИХ", "ΘΩΡΑΚ", "الصدر", "חזה")]
_OTHER = re.compile(
    r"\b(?:ABDOM\w*|KUB|PELVI\w*|BECKEN\w*|BASSIN|BACINO|[CLT]?SPINE|SPINAL|COLUMN?A|COLONNE|WIRBEL\w*|[BLH]WS|RACHIS"
    r"|RIBS?|RIB ?CAGE|RIPPE\w*|COSTILLAS?|COSTE|CLAVIC\w*|SHOULDER\w*|SCHULTER\w*|EPAULE|HOMBRO|SPALLA|HUMERUS|ELBOW"
    r"|FOREARM|WRIST|HANDS?|FINGERS?|HIPS?|HUFTE?|FEMUR|KNEES?|KNIE|GENOU|RODILLA|GINOCCHIO|TIBIA|ANKLE|FOOT|FEET|FUSS|TOES?"
    r"|HEEL|CALCANEUS|SKULL|SCHADEL|CRANE|CRANIUM|SINUS\w*|FACIAL|NECK|STERNUM|SCAPULA|BREAST\w*|MAMMA\w*|EXTREMITY|LEGS?"
    r"|PATELLA|ORBITS?|MANDIBLE|JAW|DENTAL|STOMACH|O?ESOPHAG\w*|COLON|WHOLE ?BODY|SCOLIOSIS|SKOLIOSE)\b"
)
_CHEST_REGIONS = frozenset(("51185008", "816094009", "43799004", "39607008", "T-D3000", "T-D3200", "T-28000"))
_CHEST_PROCEDURES = frozenset(
    ("71010", "71015", "71020", "71021", "71022", "71030", "71035", "71045", "71046", "71047", "71048")  # CPT
)
CHEST_CODES = _CHEST_REGIONS | _CHEST_PROCEDURES | {"399208008", "ZBQK002"}  # SNOMED CT, CCAM

_VIEW_CODES = {
    "272479007": "PA",
    "R-10214": "PA",
    "R-40888": "PA",
    "399348003": "AP",
    "R-10206": "AP",
    "399173006": "LATERAL",
    "399198007": "LATERAL",
    "R-10236": "LATERAL",
    "R-10232": "LATERAL",
}
_VIEW_WORDS = {
    "PA": r"PA|P A|POSTERO ?ANTERIOR\w?|POSTERO ?ANTERIEURE?",
    "AP": r"AP|A P|ANTERO ?POSTERIOR\w?|ANTERO ?POSTERIEURE?",
    "LATERAL": r"LAT|LATERAL\w{0,2}|LATERO ?LATERAL\w?|LL|RL|LLAT|RLAT|[LR] LAT|SEITLICH\w*|PROFILO?|PERFIL"
    r"|ZIJDELINGS\w*|DWARS|BOCZN\w*|BOCN\w*|OLDALIRANYU",
}
_LATERAL_ELSEWHERE = [fold(word) for word in ("側面", "侧位", "側位", "측면", "БОКОВ")]
_NOT_SIDEWAYS = re.compile(r"DECUB\w*\b(?! (?:SUPIN|DORSAL|PRON))")


def names_chest(text: str) -> bool:
    """Whether a folded text names the chest or the lungs, in one of many languages."""
    return bool(_CHEST.search(text)) or any(word in text for word in _CHEST_ELSEWHERE)


def names_other_part(text: str) -> bool:
    """Whether a folded text names a part of the body that is not the chest as a whole (a rib, the spine)."""
    return bool(_OTHER.search(text))


def view_of(value: str) -> str:
    """PA, AP, LATERAL or UNKNOWN from a ViewPosition, a view's code or its meaning, or a description.

    A text that names several views, or a lateral decubitus film, is UNKNOWN.
    """
    if value.strip() in _VIEW_CODES:
        return _VIEW_CODES[value.strip()]
    words = fold(value)
    if _NOT_SIDEWAYS.search(words) or words in ("LLD", "RLD"):
        return "UNKNOWN"
    named = [view for view, pattern in _VIEW_WORDS.items() if re.search(rf"\b(?:{pattern})\b", words)]
    if "LATERAL" not in named and any(word in words for word in _LATERAL_ELSEWHERE):
        named.append("LATERAL")
    return named[0] if len(named) == 1 else "UNKNOWN"


def first_view(candidates: Iterable[str]) -> str:
    """The view that the first telling candidate names."""
    return next((view for text in candidates if (view := view_of(text)) != "UNKNOWN"), "UNKNOWN")
