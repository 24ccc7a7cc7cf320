"""Which patient is for training, validation or test; decided once, at ingest, for all later stages.

An official split goes first and holds for all films of its patient. The others are dealt by a hash
of the seed and the PatientID, so a patient's split depends neither on the key nor on who else is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from raydino.errors import UserError

FRACTIONS = {"train": 0.60, "val": 0.15, "test": 0.25}


def split_by_hash(patient: str, seed: int) -> str:
    """train, val or test, in the long run in proportions FRACTIONS."""
    digest = hashlib.sha256(f"{seed}\0{patient}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for split, fraction in FRACTIONS.items():
        if place < fraction:
            return split
        place -= fraction
    return "test"


def split_patients(films: Iterable[tuple[str, str | None]], seed: int) -> dict[str, str]:
    """The split of each patient from (patient, official split or None) of every film.

    Raises UserError, without naming anyone, where official splits tear a patient in two.
    """
    official: dict[str, set[str]] = {}
    for patient, split in films:
        official.setdefault(patient, set()).update({split} if split else ())
    torn = sum(len(splits) > 1 for splits in official.values())
    if torn:
        raise UserError(
            f"the given split puts films of one patient into different splits ({torn} patients)",
            remedy="give all films of a patient the same split, or leave the split column out",
        )
    return {patient: next(iter(splits), None) or split_by_hash(patient, seed) for patient, splits in official.items()}
