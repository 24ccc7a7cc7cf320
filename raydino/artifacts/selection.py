"""The selection artifact: which films of a pool a pretraining reads, how often, and why the others are left out.

``selection.parquet`` has one row for each vector of the pool, so that nothing vanishes; ``pairs.parquet`` the pairs of
films that are alike. The header's ``inputs`` name what was curated (``dataset`` and ``encoder``, or ``embeddings``).
Its ``config`` holds the ``recipe`` and what was ``found``: the threshold, how it was calibrated, clusters by level.
``report.html``, ``report.json`` and pictures stand beside the tables.
"""

from __future__ import annotations

from raydino.artifacts.header import Schema
from raydino.artifacts.table import Column, Table

SELECTION = Schema("selection", 1)
ROWS = Table(
    "selection",
    (
        Column("sample_id", "string"),
        Column("selected", "bool"),
        Column("weight", "float"),  # of the draw of a balanced batch; 0 where not selected, sum 1
        Column("reason", "string", nullable=True),  # why it is left out, one of REASONS; null where selected
        Column("duplicate_of", "string", nullable=True),  # the film that stands for it, or that it leaks
        Column("distance", "float", nullable=True),  # to the centroid of its cluster of level 1
    ),
    others="int",  # cluster_l1, cluster_l2, …: null for films that were removed before clustering
)
PAIRS = Table(
    "pairs",
    (
        Column("first", "string"),  # sample_id, or NAME/id of a protected film of another dataset
        Column("second", "string"),
        Column("similarity", "float"),  # -1..1, at least the threshold
        Column("one_patient", "bool"),  # False: one film under two patients, which is for a human eye
    ),
)
REASONS = ("exact_duplicate", "near_duplicate", "leak", "not_retrieved", "not_sampled")
