"""How reports name findings: patterns on lower-case text, by the finding's usual name.

The names are those of the NIH, CheXpert and our own synthetic label sets. ``PATTERNS`` name a finding,
``NORMAL`` says in other words that it is not there ("the heart is normal in size"). Neighbour: labeller, which
decides whether a named finding is there, denied or doubtful.
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
    "lung lesion": (
        r"nodul\w+",
        r"\bmass(?:es)?\b(?! effect)",
        r"(?:lung|pulmonary|parenchymal|focal|cavitary|nodular) lesions?",
        r"tumou?rs?\b",
    ),
    "lung opacity": (
        r"opaci\w+",
        r"infiltrat\w+",
        r"consolidat\w+",
        r"air[- ]?space disease",
        r"ground[- ]?glass",
        r"(?:increased|abnormal|prominent|coarse\w*) (?:\w+ ){0,2}interstitial",
        r"interstitial (?:\w+ ){0,2}(?:pattern|prominence|thickening)",
    ),
    "mass": (r"\bmass(?:es)?\b(?! effect)",),
    "nodule": (r"nodules?\b", r"nodular (?:opaci\w+|densit\w+|lesions?)", r"focal lung lesion"),
    "pleural effusion": (r"(?<!pericardial )(?<!joint )\beffusions?\b", r"pleural fluid", r"(?:hydro|h[ae]*mo)thorax"),
    "pleural other": (r"pleural (?:thickening|plaques?|scarring)", r"thickening of the (?:\w+ )?(?:pleura|fissures?)"),
    "pleural thickening": (
        r"pleural(?:\W+\w+){0,2} thickening",
        r"thicken\w+ of the (?:\w+ )?pleura",
        r"thickened pleura",
    ),
    "pneumonia": (r"\b(?:broncho)?pneumoni(?:a|as|c)\b", r"(?<!granulomatous )\binfect(?:ions?|ious|ive)\b"),
    "pneumothorax": (r"(?:hydro|h[ae]*mo)?pneumothora(?:x|ces)",),
    "support devices": (
        r"endotracheal", r"\b(?:feeding|nasogastric|enteric|chest|tracheostomy|ng|et) tube", r"catheter\w*",
        r"pacemaker\w*", r"defibrillator", r"\ba?icd\b", r"\bgenerator\b", r"\bpicc\b",
        r"central (?:venous )?line", r"port-?a-?cath", r"\bstents?\b", r"prosthetic (?:\w+ )?valve",
    ),
}  # fmt: skip
PATTERNS = {name: re.compile("|".join(f"(?:{p})" for p in patterns)) for name, patterns in _PATTERNS.items()}

# The subject, then nothing but more subjects, then a verb or none, then "normal": what has a verb or an
# abnormality of its own in between ("the heart is stable, the lungs are normal") is another statement.
_OTHERWISE = r"is|are|was|were|appears?|remains?|stable|unchanged|not|but|enlarge\w*|large|prominent|widen\w*|failure"
_SUBJECTS = rf"(?:(?!\b(?:{_OTHERWISE})\b)[^.;]){{0,80}}?"
_IS_NORMAL = r"\b(?:(?:is|are|was|were|appears?|remains?) )?(?:\w+ ){0,5}?(?:normal|unremarkable)\b"


def _normal(organ: str) -> re.Pattern[str]:
    return re.compile(rf"{organ}{_SUBJECTS}{_IS_NORMAL}|(?<!ab)normal (?:\w+ ){{0,3}}?{organ}")


NORMAL = {
    "cardiomegaly": _normal(r"\b(?:heart|cardiac|cardio ?mediastinal|cardiopericardial)\b"),
    "enlarged cardiomediastinum": _normal(r"\b(?:cardio ?)?mediastin\w+"),
    "lung opacity": re.compile(r"\blungs?\b(?:(?!\bnot\b)[^.;,]){0,60}\bclear\b(?! of)|\bclear lungs?\b"),
}

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
