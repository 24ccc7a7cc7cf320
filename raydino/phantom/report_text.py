"""Short radiology reports that say what is true of a study, in varied words.

Each sentence is chosen from several wordings; sides, places and sizes are those of the findings.
Absent findings are negated, some doubtful ones hedged, normal structures described. Neighbours:
findings (the truth), archive (writes reports.csv).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raydino.phantom.findings import (
    CARDIOMEGALY,
    CONSOLIDATION,
    EFFUSION,
    NODULE,
    PNEUMOTHORAX,
    Consolidation,
    Effusion,
    Findings,
    Nodule,
    Pneumothorax,
)
from raydino.phantom.layout import LEFT, RIGHT

_COUNT_WORDS = {2: "Two", 3: "Three"}
SIDE_WORDS = {RIGHT: "right", LEFT: "left"}

_NORMAL_HEART = (
    "The heart is of normal size.",
    "Heart size is within normal limits.",
    "The cardiac silhouette is not enlarged.",
    "No cardiomegaly.",
    "The cardiothoracic ratio is normal.",
)
_LARGE_HEART = (
    "The heart is enlarged{amount}.",
    "{Amount}cardiomegaly.",
    "The cardiac silhouette is enlarged, with a cardiothoracic ratio of about {ratio:.2f}.",
    "There is {amount_before}enlargement of the heart.",
    "Increased cardiothoracic ratio ({ratio:.2f}), in keeping with cardiomegaly.",
)
_NO_EFFUSION = (
    "No pleural effusion.",
    "The costophrenic angles are clear.",
    "No evidence of pleural fluid.",
    "Both costophrenic angles are sharp.",
)
_NO_PNEUMOTHORAX = (
    "No pneumothorax.",
    "No pneumothorax is seen.",
    "There is no evidence of a pneumothorax.",
)
_NO_CONSOLIDATION = (
    "The lungs are clear.",
    "No focal consolidation.",
    "No airspace opacity.",
    "No consolidation is identified.",
)
_NO_NODULE = (
    "No pulmonary nodule.",
    "No suspicious nodule is seen.",
    "No focal lung lesion.",
)
_NORMAL_STRUCTURES = (
    "The mediastinal contours are normal.",
    "The bones are unremarkable.",
    "No acute bony abnormality.",
    "The hila are normal.",
    "The trachea is midline.",
    "Normal pulmonary vasculature.",
    "Visualised soft tissues are unremarkable.",
    "",
    "",
)
_ALL_CLEAR = (
    "Normal chest radiograph.",
    "No acute cardiopulmonary abnormality.",
    "No acute cardiopulmonary disease.",
    "Unremarkable examination of the chest.",
    "No active disease in the chest.",
)


def report_text(rng: np.random.Generator, findings: Findings, view: str) -> str:
    """One report. Mentions every finding that is present and negates some of the others."""
    present = findings.present()
    sentences = []
    if findings.cardiomegaly:
        sentences.append(_heart(rng, findings.ctr))
    sentences += _effusions(rng, findings.effusions)
    if findings.pneumothorax:
        sentences.append(_pneumothorax(rng, findings.pneumothorax))
    sentences += [_consolidation(rng, spot) for spot in findings.consolidations]
    sentences += _nodules(rng, findings.nodules)
    rng.shuffle(sentences)
    negations = {
        CARDIOMEGALY: _NORMAL_HEART,
        EFFUSION: _NO_EFFUSION,
        PNEUMOTHORAX: _NO_PNEUMOTHORAX,
        CONSOLIDATION: _NO_CONSOLIDATION,
        NODULE: _NO_NODULE,
    }
    absent = [name for name in negations if not present[name]]
    rng.shuffle(absent)
    told = absent[: max(1, round(len(absent) * rng.uniform(0.4, 1.0)))]
    # "The lungs are clear" would deny every opacity, not consolidation alone.
    opaque = present[NODULE] or present[EFFUSION] or present[PNEUMOTHORAX]
    for name in told:
        wordings = [
            w for w in negations[name] if not (opaque and w in ("The lungs are clear.", "No focal lung lesion."))
        ]
        sentences.append(_one(rng, wordings))
    sentences.append(_one(rng, _NORMAL_STRUCTURES))
    if not any(present[name] for name in negations) and rng.random() < 0.6:
        sentences.append(_one(rng, _ALL_CLEAR))
    opening = _one(rng, ("", "", f"{view} view of the chest." if view != "LATERAL" else "", "Chest radiograph."))
    return " ".join(sentence for sentence in (opening, *sentences) if sentence)


def _one(rng: np.random.Generator, wordings: Sequence[str]) -> str:
    return wordings[int(rng.integers(len(wordings)))]


def _heart(rng: np.random.Generator, ratio: float) -> str:
    degree = "mild" if ratio < 0.58 else "moderate" if ratio < 0.62 else "marked"
    return _one(rng, _LARGE_HEART).format(
        ratio=ratio, amount=f" to a {degree} degree", Amount=f"{degree.capitalize()} ", amount_before=f"{degree} "
    )


def _effusions(rng: np.random.Generator, effusions: tuple[Effusion, ...]) -> list[str]:
    if len(effusions) == 2:
        larger = max(effusions, key=lambda effusion: effusion.height_mm)
        side = SIDE_WORDS[larger.side]
        return [
            _one(
                rng,
                (
                    f"Bilateral pleural effusions, larger on the {side}.",
                    f"There is pleural fluid on both sides, more on the {side}.",
                    f"Pleural effusions bilaterally, {side} greater than {SIDE_WORDS[-larger.side]}.",
                ),
            )
        ]
    texts = []
    for effusion in effusions:
        side = SIDE_WORDS[effusion.side]
        size = "small" if effusion.height_mm < 70 else "moderate" if effusion.height_mm < 110 else "large"
        wordings = [
            f"{size.capitalize()} {side} pleural effusion.",
            f"There is a {size} pleural effusion on the {side}.",
            f"{side.capitalize()}-sided pleural effusion of {size} size with a meniscus.",
            f"Blunting of the {side} costophrenic angle in keeping with a {size} effusion.",
        ]
        if size == "small":
            wordings.append(f"The {side} costophrenic angle is blunted, likely a small pleural effusion.")
        texts.append(_one(rng, wordings))
    return texts


def _pneumothorax(rng: np.random.Generator, rim: Pneumothorax) -> str:
    side = SIDE_WORDS[rim.side]
    size = "large" if rim.apex_mm >= 55 else "moderate" if rim.apex_mm >= 43 else "small"
    return _one(
        rng,
        (
            f"{size.capitalize()} {side} pneumothorax.",
            f"There is a {size} {side} apical pneumothorax with a visible pleural line.",
            f"A pleural line on the {side}, {round(rim.apex_mm / 10)} cm from the apex, indicates a pneumothorax.",
            f"{side.capitalize()}-sided pneumothorax, {size} in size.",
        ),
    )


def _consolidation(rng: np.random.Generator, spot: Consolidation) -> str:
    side, lobe = SIDE_WORDS[spot.side], spot.lobe
    return _one(
        rng,
        (
            f"Consolidation in the {side} {lobe} lobe.",
            f"{side.capitalize()} {lobe} lobe airspace opacity with air bronchograms.",
            f"There is airspace consolidation in the {side} {lobe} lobe, suggestive of pneumonia.",
            f"Patchy opacity in the {side} {lobe} lobe, probably consolidation.",
            f"{side.capitalize()} {lobe} lobe consolidation.",
        ),
    )


def _nodules(rng: np.random.Generator, nodules: tuple[Nodule, ...]) -> list[str]:
    if not nodules:
        return []
    side = SIDE_WORDS[nodules[0].side]
    largest = max(nodules, key=lambda nodule: nodule.diameter_mm)
    size = round(largest.diameter_mm)
    zone = "upper" if largest.v < 0.38 else "mid" if largest.v < 0.65 else "lower"
    if len({nodule.side for nodule in nodules}) > 1:
        return [f"Bilateral pulmonary nodules, the largest {size} mm in the {SIDE_WORDS[largest.side]} {zone} zone."]
    if len(nodules) > 1:
        many = _COUNT_WORDS[len(nodules)]
        return [
            _one(
                rng,
                (
                    f"{many} nodules in the {side} lung, the largest of {size} mm in the {zone} zone.",
                    f"Multiple {side}-sided lung nodules up to {size} mm.",
                ),
            )
        ]
    return [
        _one(
            rng,
            (
                f"A {size} mm nodule in the {side} {zone} zone.",
                f"There is a rounded {size} mm opacity in the {side} {zone} zone, in keeping with a nodule.",
                f"{side.capitalize()} {zone} zone nodule measuring {size} mm.",
                f"Solitary pulmonary nodule of {size} mm in the {side} {zone} zone.",
            ),
        )
    ]
