"""The selection artifact: which films of a pool a pretraining reads, how often, and why the others are left out.

``selection.parquet`` has one row for each vector of the pool, so that nothing vanishes. The header's ``inputs`` name
what was curated (``dataset`` and ``encoder``, or ``embeddings``); its ``config`` is the recipe, and ``levels`` the
number of clusters of each level. ``report.html`` and its pictures stand beside the table.
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
REASONS = ("exact_duplicate", "near_duplicate", "leak", "not_retrieved", "not_sampled")
