"""How reports name findings: patterns on lower-case text, by the finding's usual name.

The names are those of the NIH, CheXpert and our own synthetic label sets. Neighbour: labeller, which decides
whether a named finding is there, denied or doubtful.
"""

from __future__ import annotations

import re

NO_FINDING = "no finding"
_HEART = r"(?:heart|cardiac|cardiomediastinal|cardiopericardial)"
_LARGE = r"(?:enlarge\w*|increased|prominent|borderline)"

_PATTERNS: dict[str, tuple[str, ...]] = {
    "atelectasis": (r"atelecta\w+", r"lob(?:ar|e) collapse", r"collapse of the \w+ (?:\w+ )?lobe"),
    "cardiomegaly": (
        r"cardiomegal\w*",
        rf"\b{_HEART}\b[^.;,]{{0,40}}\b(?:enlarge\w*|increased in size|prominent|large)\b",
        rf"\benlarge(?:d|ment)\b(?: of)?(?: the)? {_HEART}",
        rf"\b{_LARGE} (?:heart|cardiac|cardiothoracic) (?:size|ratio|silhouette|shadow)",
    ),
    "consolidation": (
        r"consolidat\w+",
        r"air[- ]?space (?:opaci\w+|disease|process)",
        r"air bronchogram\w*",
    ),
    "covid 19": (r"covid\w*", r"sars-cov-?2", r"coronavirus"),
    "edema": (r"(?<!subcutaneous )(?<!peripheral )(?<!tissue )\bo?edema",),
    "emphysema": (r"(?<!subcutaneous )(?<!surgical )(?<!tissue )\bemphysem\w*",),
    "enlarged cardiomediastinum": (
        r"mediastin\w+[^.;,]{0,30}\b(?:widen\w*|enlarge\w*)",
        r"\b(?:widen\w*|enlarge\w*)[^.;,]{0,20} mediastin\w+",
    ),
    "fibrosis": (r"fibro(?:sis|tic)",),
    "fracture": (r"fractur\w+",),
    "hernia": (r"\bherni\w+",),
    "infiltration": (r"infiltrat\w+",),
    "lung lesion": (r"nodul\w+", r"\bmass(?:es)?\b(?! effect)", r"(?:lung|pulmonary|focal) lesions?", r"tumou?rs?\b"),
    "lung opacity": (r"opaci\w+", r"infiltrat\w+", r"consolidat\w+", r"air[- ]?space disease"),
    "mass": (r"\bmass(?:es)?\b(?! effect)",),
    "nodule": (r"nodules?\b", r"nodular (?:opaci\w+|densit\w+|lesions?)", r"focal lung lesion"),
    "pleural effusion": (r"(?<!pericardial )(?<!joint )\beffusions?\b", r"pleural fluid", r"(?:hydro|h[ae]*mo)thorax"),
    "pleural other": (r"pleural (?:thickening|plaques?|scarring)",),
    "pleural thickening": (
        r"pleural(?:\W+\w+){0,2} thickening",
        r"thicken\w+ of the (?:\w+ )?pleura",
        r"thickened pleura",
    ),
    "pneumonia": (r"\b(?:broncho)?pneumoni(?:a|as|c)\b",),
    "pneumothorax": (r"(?:hydro|h[ae]*mo)?pneumothora(?:x|ces)",),
    "support devices": (
        r"endotracheal", r"\b(?:feeding|nasogastric|enteric|chest|tracheostomy|ng|et) tube", r"catheter\w*",
        r"pacemaker\w*", r"defibrillator", r"\bpicc\b", r"central (?:venous )?line", r"port-?a-?cath",
    ),
}  # fmt: skip
PATTERNS = {name: re.compile("|".join(f"(?:{p})" for p in patterns)) for name, patterns in _PATTERNS.items()}
_OTHER_NAMES = {
    "effusion": "pleural effusion",
    "infiltrate": "infiltration",
    "oedema": "edema",
    "pulmonary edema": "edema",
    "lung nodule": "nodule",
    "covid": "covid 19",
    "normal": NO_FINDING,
}


def usual_name(label: str) -> str | None:
    """The finding that a data set's ``label`` means, or None when reports cannot be read for it."""
    plain = " ".join(re.split(r"[\s_-]+", label.lower().strip()))
    name = _OTHER_NAMES.get(plain, plain)
    return name if name in PATTERNS or name == NO_FINDING else None
