"""Which patient is for training, validation or test; decided once, at ingest, for all later stages.

An official split goes first and holds for all films of its patient. The others are dealt by a hash
of the seed and the PatientID, so a patient's split depends neither on the key nor on who else is there.
"""

from __future__ import annotations

import hashlib
import sqlite3

from raydino.errors import UserError

FRACTIONS = {"train": 0.60, "val": 0.15, "test": 0.25}

_TORN = """
SELECT count(*) FROM (
    SELECT patient FROM verdicts WHERE patient IS NOT NULL
    GROUP BY patient HAVING max(official_split) != min(official_split)
)"""
_DEAL = """
UPDATE verdicts SET split = coalesce(
    (SELECT max(theirs.official_split) FROM verdicts AS theirs WHERE theirs.patient = verdicts.patient),
    split_by_hash(patient, ?)
) WHERE patient IS NOT NULL"""


def split_by_hash(patient: str, seed: int) -> str:
    """train, val or test, in the long run in proportions FRACTIONS."""
    digest = hashlib.sha256(f"{seed}\0{patient}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for split, fraction in FRACTIONS.items():
        if place < fraction:
            return split
        place -= fraction
    return "test"


def split_patients(sql: sqlite3.Connection, seed: int) -> None:
    """Fill in ``split`` in the table ``verdicts``, whose ``patient`` and ``official_split`` stand for accepted films.

    Raises UserError, without naming anyone, where official splits tear a patient in two.
    """
    torn = sql.execute(_TORN).fetchone()[0]
    if torn:
        raise UserError(
            f"the given split puts films of one patient into different splits ({torn} patients)",
            remedy="give all films of a patient the same split, or leave the split column out",
        )
    sql.create_function("split_by_hash", 2, split_by_hash, deterministic=True)
    sql.execute(_DEAL, (seed,))
