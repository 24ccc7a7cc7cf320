"""Labels and structures in the words of coding schemes: SNOMED CT and RadLex, else our own scheme 99RAYDINO.

A code is given only where label and concept mean the same; all others keep the label's own words.
"""

from __future__ import annotations

import hashlib
import re

from pydicom.sr.coding import Code

from adapters.report.findings import usual_name

PRIVATE = "99RAYDINO"

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
NOT_CALLED = Code("NOT_CALLED", PRIVATE, "Not called: no operating point")
PRESENCE = Code("PRESENCE", PRIVATE, "Presence at the operating point")
PROBABILITY = Code("PROBABILITY", PRIVATE, "Probability")
OPERATING_POINT = Code("OPERATING_POINT", PRIVATE, "Operating point")
DRAFT_REPORT = Code("DRAFT_REPORT", PRIVATE, "Draft report by a model, not verified")
CONTRADICTION = Code("CONTRADICTION", PRIVATE, "Sentence of the draft against a finding")
NOTICE = Code("NOTICE", PRIVATE, "Notice")
NO_UNITS = Code("1", "UCUM", "no units")
AREA = Code("42798000", "SCT", "Area")
SQUARE_MM = Code("mm2", "UCUM", "square millimeter")
SHARE = Code("SHARE", PRIVATE, "Share of the film's area")

RATIO = Code("{ratio}", "UCUM", "ratio")

_STRUCTURES = {
    "lung": Code("39607008", "SCT", "Lung"),
    "left lung": Code("44029006", "SCT", "Left lung"),
    "right lung": Code("3341006", "SCT", "Right lung"),
    "heart": Code("80891009", "SCT", "Heart"),
    "clavicle": Code("51299004", "SCT", "Clavicle"),
    "rib": Code("113197003", "SCT", "Rib"),
    "trachea": Code("44567001", "SCT", "Trachea"),
    "aorta": Code("15825003", "SCT", "Aorta"),
    "mediastinum": Code("72410000", "SCT", "Mediastinum"),
    "diaphragm": Code("5798000", "SCT", "Diaphragm"),
}
_FINDINGS = {
    "atelectasis": Code("46621007", "SCT", "Atelectasis"),
    "cardiomegaly": Code("8186001", "SCT", "Cardiomegaly"),
    "consolidation": Code("RID43255", "RADLEX", "consolidation"),
    "edema": Code("19242006", "SCT", "Pulmonary edema"),
    "emphysema": Code("RID4799", "RADLEX", "emphysema"),
    "mass": Code("4147007", "SCT", "Mass"),
    "nodule": Code("27925004", "SCT", "Nodule"),
    "pleural effusion": Code("60046008", "SCT", "Pleural effusion"),
    "pneumonia": Code("233604007", "SCT", "Pneumonia"),
    "pneumothorax": Code("36118008", "SCT", "Pneumothorax"),
}
_UNITS = {
    "years": Code("a", "UCUM", "year"),
    "mm": Code("mm", "UCUM", "mm"),
    "cm": Code("cm", "UCUM", "cm"),
    "ratio": RATIO,
    "percent": Code("%", "UCUM", "Percent"),
}
_LONGEST_VALUE, _LONGEST_MEANING = 16, 64  # characters of SH and LO


def structure_code(structure: str) -> Code:
    """Of a mask: ``lungs`` and ``left_lung`` are anatomy of SNOMED CT."""
    name = re.sub(r"[\W_]+", " ", structure.lower()).strip()
    return _STRUCTURES.get(name) or _STRUCTURES.get(name.removesuffix("s")) or private_code(structure)


def finding_code(label: str) -> Code:
    """Of a classifier's label, whatever its data set calls it."""
    return _FINDINGS.get(usual_name(label) or "") or private_code(label)


def unit_code(measurement: str) -> Code:
    """By the last word of its name: ``age_years`` in years; others, whose unit nobody tells, have none."""
    return _UNITS.get(measurement.rsplit("_", 1)[-1].lower(), NO_UNITS)


def private_code(words: str) -> Code:
    """In our scheme; words too long for a code value end in six digits of their SHA-256."""
    value = re.sub(r"\W+", "_", words).strip("_").upper()
    if len(value) > _LONGEST_VALUE or not value.isascii() or not value:
        digest = hashlib.sha256(words.encode()).hexdigest()[:6].upper()
        value = f"{re.sub(r'[^A-Z0-9_]', '', value)[: _LONGEST_VALUE - 7]}_{digest}"
    return Code(value, PRIVATE, words[:_LONGEST_MEANING])
