"""Ages in years, however they are written: 45, 45.0, "45", and DICOM's age string "045Y", "006M", "012W", "021D".

DICOM PS3.5, value representation AS: three digits and one of D, W, M, Y. Fewer digits and small letters are taken too.
"""

from __future__ import annotations

import re

DAYS = {"Y": 365.25, "M": 365.25 / 12, "W": 7.0, "D": 1.0}
_AGE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*([YMWD])", re.IGNORECASE)


def age_in_years(text: str) -> float | None:
    """Years of an age string with a unit, else None.

    >>> age_in_years("045Y"), age_in_years("6M"), age_in_years("45")
    (45.0, 0.5, None)
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        return None
    number, unit = float(match[1]), match[2].upper()
    return number if unit == "Y" else number * DAYS[unit] / DAYS["Y"]
