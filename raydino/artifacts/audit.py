"""The audit artifact: every metric in every stratum, every gap, and a report that a person reads.

Version 2 added verdicts, what a stratum could have shown, references, spreads and suppressed strata, of which counts
are null. ``bias_audit`` makes the tables and docs/audit.md explains each column.
"""

from __future__ import annotations

from raydino.artifacts.header import Schema
from raydino.artifacts.table import Column, Table

AUDIT = Schema("audit", 2)

_COUNTS = tuple(
    Column(name, "int", nullable=True)  # null only where the stratum is suppressed
    for name in (
        "n_images",
        "n_patients",
        "n_positive",  # films with the finding
        "n_positive_patients",
        "n_unknown",  # films of the stratum whose target is unknown, left out of n_images
    )
)
STRATA = Table(
    "strata",
    (
        Column("axis", "string"),  # all, sex, age, site, sex × site, …
        Column("stratum", "string"),
        Column("label", "string"),
        Column("metric", "string"),
        *_COUNTS,
        Column("estimate", "float", nullable=True),
        Column("ci_low", "float", nullable=True),
        Column("ci_high", "float", nullable=True),
        Column("status", "string"),  # ok, too_few, undefined or suppressed
        Column("reason", "string", nullable=True),
    ),
)

_GAP = (
    Column("label", "string"),
    Column("metric", "string"),
    Column("estimate", "float", nullable=True),  # in the stratum
    Column("rest", "float", nullable=True),  # in everyone else, or in the reference
    Column("gap", "float", nullable=True),  # estimate - rest
    Column("se", "float", nullable=True),  # standard error of the gap if there were none
    Column("ci_low", "float", nullable=True),
    Column("ci_high", "float", nullable=True),
    Column("p_value", "float", nullable=True),
    Column("p_adjusted", "float", nullable=True),  # Benjamini-Hochberg over all labels, see bias_audit/flags.py
    Column("direction", "string", nullable=True),  # worse or better than the other side
    Column("verdict", "string", nullable=True),  # different, equivalent or undecided; null where nothing was tested
    Column("detectable", "float", nullable=True),  # smallest gap that would have been found with the wanted power
)
_STATUS = (Column("status", "string"), Column("reason", "string", nullable=True))
GAPS = Table(
    "gaps",
    (
        Column("axis", "string"),
        Column("stratum", "string"),
        *_GAP,
        Column("p_permutation", "float", nullable=True),  # null where the check was not asked for
        Column("flagged", "bool"),
        Column("explained_by", "string", nullable=True),  # "axis: stratum" without whose films the gap vanishes
        *_STATUS,
    ),
)
REFERENCES = Table(
    "references",
    (Column("axis", "string"), Column("stratum", "string"), Column("reference", "string"), *_GAP, *_STATUS),
)
SPREADS = Table(
    "spreads",
    (
        Column("axis", "string"),
        Column("label", "string"),
        Column("metric", "string"),
        Column("n_strata", "int"),  # that have a figure
        Column("n_left_out", "int"),
        Column("highest", "string", nullable=True),
        Column("highest_estimate", "float", nullable=True),
        Column("lowest", "string", nullable=True),
        Column("lowest_estimate", "float", nullable=True),
        Column("worst", "string", nullable=True),  # one of these two; null where neither end is worse
        Column("difference", "float", nullable=True),  # highest - lowest
        Column("difference_low", "float", nullable=True),
        Column("difference_high", "float", nullable=True),
        Column("ratio", "float", nullable=True),  # lowest / highest
        Column("ratio_low", "float", nullable=True),
        Column("ratio_high", "float", nullable=True),
        Column("by_chance", "float", nullable=True),  # difference that chance alone exceeds in one case of twenty
        Column("p_value", "float", nullable=True),
        *_STATUS,
    ),
)
CASE_MIX = Table(
    "case_mix",
    (
        Column("axis", "string"),
        Column("stratum", "string"),
        Column("label", "string"),
        Column("metric", "string"),
        Column("confounders", "string"),  # made equal, by commas
        Column("estimate", "float", nullable=True),  # in the stratum's films of shared cells
        Column("rest", "float", nullable=True),  # in everyone else, weighted to the stratum's mix
        Column("gap", "float", nullable=True),
        Column("ci_low", "float", nullable=True),
        Column("ci_high", "float", nullable=True),
        Column("p_value", "float", nullable=True),  # not adjusted
        Column("kept", "float", nullable=True),  # share of the stratum's films in cells that both sides have
        Column("kept_rest", "float", nullable=True),
        Column("effective_rest", "float", nullable=True),  # films of equal weight
        *_STATUS,
    ),
)
FAIRNESS = Table(
    "fairness",
    (
        Column("label", "string"),
        Column("axis", "string"),
        Column("n_strata", "int"),
        Column("left_out", "string", nullable=True),
        *(
            Column(f"{name}_difference{end}", "float", nullable=True)
            for name in ("true_positive_rate", "false_positive_rate", "demographic_parity", "equalized_odds")
            for end in ("", "_low", "_high")
        ),
        *_STATUS,
    ),
)

# Two audits side by side: bias_audit/compare.py says how the columns are made.
COMPARISON = Schema("audit_comparison", 1)
_CHANGE = (
    Column("change", "float", nullable=True),  # new - old
    Column("ci_low", "float", nullable=True),
    Column("ci_high", "float", nullable=True),
    Column("p_value", "float", nullable=True),
    Column("p_adjusted", "float", nullable=True),
    Column("verdict", "string", nullable=True),
    *_STATUS,
)
_WHERE = tuple(Column(name, "string") for name in ("axis", "stratum", "label", "metric"))
CHANGES = Table(
    "changes",
    (
        *_WHERE,
        Column("n_patients_old", "int", nullable=True),  # null where suppressed
        Column("n_patients_new", "int", nullable=True),
        Column("old", "float", nullable=True),
        Column("new", "float", nullable=True),
        *_CHANGE,  # verdict: better, worse, unchanged or undecided
    ),
)
GAP_CHANGES = Table(
    "gap_changes",
    (
        *_WHERE,
        Column("old", "float", nullable=True),  # gap against everyone else
        Column("new", "float", nullable=True),
        Column("widening", "float", nullable=True),  # |new| - |old|
        *_CHANGE,  # verdict: widened, narrowed, shifted, unchanged or undecided
    ),
)

# What an encoder's features tell of patients: bias_audit/encoding.py.
ENCODING = Schema("encoder_audit", 1)
PROBES = Table(
    "probes",
    (
        Column("axis", "string"),
        Column("groups", "string", nullable=True),  # by commas
        Column("n_patients_fit", "int", nullable=True),
        Column("n_patients_read", "int", nullable=True),
        Column("auroc", "float", nullable=True),  # macro, one group against the rest
        Column("ci_low", "float", nullable=True),
        Column("ci_high", "float", nullable=True),
        Column("from_site", "float", nullable=True),  # the same from the site alone
        *_STATUS,
    ),
)
DISTANCES = Table(
    "distances",
    (
        Column("axis", "string"),
        Column("group", "string"),
        Column("component", "int"),  # from 1
        Column("n_patients", "int"),
        Column("ks", "float"),
        Column("p_value", "float"),
        Column("p_adjusted", "float"),  # Benjamini-Hochberg over groups and components of the axis
    ),
)

# What mitigation gains and costs: bias_audit/mitigation.py.
MITIGATION = Schema("audit_mitigation", 1)
TREATMENTS = Table(
    "treatments",
    (
        Column("method", "string"),
        Column("label", "string"),
        Column("group", "string"),
        Column("n_patients", "int"),  # of validation, with a known answer
        Column("n_positive_patients", "int"),
        Column("setting", "string", nullable=True),  # what was fitted, in words
        *_STATUS,  # a group that is too_few is left as it was
    ),
)
MITIGATED = Table("changes", (Column("method", "string"), *CHANGES.columns))
MITIGATED_GAPS = Table("gap_changes", (Column("method", "string"), *GAP_CHANGES.columns))
