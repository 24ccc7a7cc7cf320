"""The audit artifact: every metric in every stratum, every gap, and a report that a person reads."""

from __future__ import annotations

from raydino.artifacts.header import Schema
from raydino.artifacts.table import Column, Table

AUDIT = Schema("audit", 1)

STRATA = Table(
    "strata",
    (
        Column("axis", "string"),  # all, sex, age, site, sex × site, …
        Column("stratum", "string"),
        Column("label", "string"),
        Column("metric", "string"),
        Column("n_images", "int"),
        Column("n_patients", "int"),
        Column("n_positive", "int"),  # films with the finding
        Column("n_positive_patients", "int"),
        Column("n_unknown", "int"),  # films of the stratum whose target is unknown, left out of n_images
        Column("estimate", "float", nullable=True),
        Column("ci_low", "float", nullable=True),
        Column("ci_high", "float", nullable=True),
        Column("status", "string"),  # ok, too_few or undefined
        Column("reason", "string", nullable=True),
    ),
)
GAPS = Table(
    "gaps",
    (
        Column("axis", "string"),
        Column("stratum", "string"),
        Column("label", "string"),
        Column("metric", "string"),
        Column("estimate", "float", nullable=True),  # in the stratum
        Column("rest", "float", nullable=True),  # in everyone else
        Column("gap", "float", nullable=True),  # estimate - rest
        Column("se", "float", nullable=True),  # standard error of the gap if there were none
        Column("ci_low", "float", nullable=True),
        Column("ci_high", "float", nullable=True),
        Column("p_value", "float", nullable=True),
        Column("p_adjusted", "float", nullable=True),  # Benjamini-Hochberg over all labels, see bias_audit/flags.py
        Column("direction", "string", nullable=True),  # worse or better than everyone else
        Column("flagged", "bool"),
        Column("explained_by", "string", nullable=True),  # "axis: stratum" without whose films the gap vanishes
        Column("status", "string"),
        Column("reason", "string", nullable=True),
    ),
)
