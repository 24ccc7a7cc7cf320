"""The one vocabulary of findings that the labels of every public data set are mapped onto.

A label has three values: 1 present, 0 absent, None unknown. What a source calls uncertain becomes what
``ReaderOptions.uncertain`` says, and what it does not mention is unknown, never absent. A name that
stands for two findings at once (VinDr's Nodule/Mass) is a finding of its own, because the one cannot be
told from the other. docs/datasets.md has the table; the first fourteen names are those of CheXpert
(Irvin et al. 2019), the next ones of ChestX-ray14 (Wang et al. 2017).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from raydino.readers.base import Uncertain

NO_FINDING = "No Finding"
DEVICES = "Support Devices"

# Finding → what the sources call it beside its own name, in lower case with single spaces.
FINDINGS: dict[str, tuple[str, ...]] = {
    NO_FINDING: ("normal",),
    "Enlarged Cardiomediastinum": ("mediastinal enlargement", "superior mediastinal enlargement"),
    "Cardiomegaly": (),
    "Lung Opacity": ("airspace opacity", "airspace disease"),
    "Lung Lesion": (),
    "Edema": ("pulmonary edema",),
    "Consolidation": (),
    "Pneumonia": ("atypical pneumonia",),
    "Atelectasis": (
        "pulmonary atelectasis",
        "laminar atelectasis",
        "lobar atelectasis",
        "segmental atelectasis",
        "total atelectasis",
        "atelectasis basal",
    ),
    "Pneumothorax": ("hemopneumothorax",),
    "Pleural Effusion": ("effusion", "loculated pleural effusion", "loculated fissural effusion"),
    "Pleural Other": (),
    "Fracture": ("fractures, bone", "humeral fracture"),
    DEVICES: (
        "pacemaker",
        "dual chamber device",
        "single chamber device",
        "dai",  # desfibrilador automático implantable
        "nsg tube",  # sonda nasogástrica
        "endotracheal tube",
        "tracheostomy tube",
        "chest drain tube",
        "central venous catheter",
        "central venous catheter via jugular vein",
        "central venous catheter via subclavian vein",
        "central venous catheter via umbilical vein",
        "reservoir central venous catheter",
        "artificial heart valve",
        "artificial mitral heart valve",
        "artificial aortic heart valve",
        "catheters, indwelling",
        "tube, inserted",
        "implanted medical device",
        "medical device",
        "stents",
    ),
    "Infiltration": ("infiltrates", "infiltrate"),
    "Mass": ("pulmonary mass",),
    "Nodule": ("multiple nodules",),
    "Emphysema": ("pulmonary emphysema", "bullous emphysema"),
    "Fibrosis": ("pulmonary fibrosis",),
    "Pleural Thickening": ("calcified pleural thickening", "apical pleural thickening"),
    "Hernia": ("hiatal hernia", "hernia, hiatal", "hernia, diaphragmatic"),
    "Nodule or Mass": ("nodule/mass",),
    "Rib Fracture": ("callus rib fracture",),
    "Clavicle Fracture": (),
    "Vertebral Fracture": (),
    "Hydropneumothorax": (),
    "COVID-19": (),
    "Tuberculosis": (),
    "COPD": ("copd signs", "pulmonary disease, chronic obstructive"),
    "Interstitial Lung Disease": ("ild", "lung diseases, interstitial"),
    "Lung Tumor": (),
    "Lung Cavity": ("cavitation",),
    "Lung Cyst": (),
    "Calcification": (),
    "Granuloma": ("calcified granuloma",),
    "Bronchiectasis": (),
    "Air Trapping": (),
    "Interstitial Pattern": ("reticular interstitial pattern", "reticulonodular interstitial pattern"),
    "Mediastinal Shift": (),
    "Aortic Enlargement": (),
    "Aortic Elongation": ("descendent aortic elongation", "supra aortic elongation"),
    "Enlarged Pulmonary Artery": ("enlarged pa", "pulmonary artery enlargement"),
    "Hilar Enlargement": ("vascular hilar enlargement",),
    "Costophrenic Angle Blunting": (),
    "Elevated Hemidiaphragm": ("hemidiaphragm elevation",),
    "Flattened Diaphragm": (),
    "Scoliosis": (),
    "Kyphosis": (),
}
# In a source that lists all that it sees, what is named makes the wider finding present too.
NARROWER: dict[str, tuple[str, ...]] = {
    "Nodule or Mass": ("Nodule", "Mass"),
    "Fracture": ("Rib Fracture", "Clavicle Fracture", "Vertebral Fracture"),
    "Pneumothorax": ("Hydropneumothorax",),
    "Pleural Effusion": ("Hydropneumothorax",),
}
CHEXPERT = tuple(FINDINGS)[:14]
_POLICY: dict[Uncertain, float | None] = {"unknown": None, "present": 1.0, "absent": 0.0}


def _key(term: str) -> str:
    return re.sub(r"[\s_]+", " ", term).strip().lower()


_NAMES = {_key(word): name for name, words in FINDINGS.items() for word in (name, *words)}


def canonical(term: str) -> str | None:
    """The finding that a source means by ``term``; None for what the vocabulary does not hold."""
    return _NAMES.get(_key(term))


def truth(value: str, uncertain: Uncertain) -> float | None:
    """Of a cell ``1``, ``0``, ``-1`` (uncertain) or empty (not mentioned), also as ``1.0`` …; ValueError else."""
    if not value.strip():
        return None
    number = float(value)
    if number not in (-1.0, 0.0, 1.0):
        raise ValueError("neither 1, 0, -1 nor empty")
    return _POLICY[uncertain] if number < 0 else number


def label_columns(columns: Iterable[str], facts: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Column → finding for the label columns of a table, and the other columns with why they are none.

    ``facts`` are columns that are known to be no labels, so they are not named.
    """
    found, left_out = {}, {}
    for column in columns:
        if column in facts:
            continue
        if name := canonical(column):
            found[column] = name
        else:
            left_out[column] = "no finding of the vocabulary"
    return found, left_out


def ordered(names: Collection[str]) -> tuple[str, ...]:
    """``names`` in the vocabulary's order, each once."""
    return tuple(name for name in FINDINGS if name in names)


def with_wider(names: Collection[str]) -> set[str]:
    """``names`` and the wider findings that they are instances of."""
    return set(names) | {wide for wide, narrow in NARROWER.items() if not set(narrow).isdisjoint(names)}


def listed(terms: Iterable[str], labels: Iterable[str], *, complete: bool = True) -> dict[str, float | None]:
    """The labels of a film whose source lists what it shows, in the source's words.

    Named is present; not named is absent where the list is ``complete``, else unknown.
    """
    named = with_wider({name for term in terms if (name := canonical(term))})
    return {label: 1.0 if label in named else (0.0 if complete else None) for label in labels}


def settled(labels: Mapping[str, float | None]) -> dict[str, float | None]:
    """What CheXpert's labeller means by "No Finding" but leaves empty.

    It says so only where no other finding than a device is mentioned as present or uncertain (Irvin et
    al. 2019): so where "No Finding" is present the others that are unknown are absent, and where
    another is present "No Finding" is absent.
    """
    settled = dict(labels)
    others = [name for name in labels if name not in (NO_FINDING, DEVICES)]
    if labels.get(NO_FINDING) == 1.0:
        settled.update({name: 0.0 for name in others if labels[name] is None})
    elif NO_FINDING in labels and any(labels[name] == 1.0 for name in others):
        settled[NO_FINDING] = 0.0
    return settled
