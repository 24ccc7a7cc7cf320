"""Makers of radiography equipment: Manufacturer is free text, so only a name of this list leaves ingest."""

from __future__ import annotations

import re

from raydino.dicom.examination import fold

OTHER = "OTHER"
# Name → words by which it is known in headers, where they are not the name itself
_MAKERS = {
    "AGFA": "AGFA",
    "ALLENGERS": "ALLENGERS",
    "ANGELL": "ANGELL",
    "ARCOMA": "ARCOMA",
    "CANON": "CANON",
    "CARESTREAM": "CARESTREAM",
    "DEL MEDICAL": "DEL MEDICAL",
    "DRGEM": "DRGEM",
    "DRTECH": "DRTECH|DR TECH",
    "EXAMPLE RADIOGRAPHY": "EXAMPLE RADIOGRAPHY",  # of raydino's own archive, as SYNTHETIC IMAGING is
    "FUJIFILM": r"FUJI\w*",
    "GE": r"GE|GEMS|GENERAL ELECTRIC",
    "GENORAY": "GENORAY",
    "GMM": "GMM",
    "HITACHI": "HITACHI",
    "HOLOGIC": "HOLOGIC|LORAD",
    "ICRCO": "ICRCO",
    "IMAGING DYNAMICS": "IMAGING DYNAMICS",
    "IRAY": "IRAY",
    "ITALRAY": "ITALRAY",
    "KODAK": r"KODAK|EASTMAN",
    "KONICA MINOLTA": r"KONICA|MINOLTA",
    "LISTEM": "LISTEM",
    "LODOX": "LODOX",
    "LUMISYS": "LUMISYS",
    "MINDRAY": "MINDRAY",
    "NEUSOFT": "NEUSOFT",
    "OLDELFT": r"OLDELFT|DELFT",
    "PHILIPS": "PHILIPS",
    "RAYENCE": "RAYENCE",
    "RIVERAIN": "RIVERAIN",
    "SAMSUNG": "SAMSUNG",
    "SEDECAL": "SEDECAL",
    "SHIMADZU": "SHIMADZU",
    "SIEMENS": "SIEMENS",
    "SWISSRAY": "SWISSRAY",
    "SYNTHETIC IMAGING": "SYNTHETIC IMAGING",
    "TOSHIBA": "TOSHIBA",
    "TRIXELL": "TRIXELL",
    "UNITED IMAGING": r"UNITED IMAGING|UIH",
    "VAREX": r"VAREX|VARIAN",
    "VATECH": "VATECH",
    "VIDAR": "VIDAR",
    "VIEWORKS": "VIEWORKS",
    "VILLA": "VILLA SISTEMI",
}
_PATTERNS = {name: re.compile(rf"\b(?:{words})\b") for name, words in _MAKERS.items()}


def maker_of(text: str) -> str:
    """A name of the list, OTHER for any other text, ``""`` for none."""
    words = fold(text)
    if not words:
        return ""
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(words)), OTHER)
