"""The dataset behind an audited table: who stands in which split, and whether one split leaks into another.

A model is judged fairly only on patients it was not trained on, and a group that was rare in training is worth
knowing of beside the group's figures (FUTURE-AI, fairness: imbalance estimated; FDA draft: independence of test
data). Neighbours: ``inputs`` reads the dataset, ``render`` and ``page`` show what is said here.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bias_audit.axes import Axis
from raydino.artifacts.dataset import Dataset

COLUMNS = ["axis", "stratum", "split", "n_images", "n_patients"]


def films_of(dataset: Dataset) -> pd.DataFrame:
    """Every accepted film: patient_id, split, content_sha256 and what tells groups apart, indexed by sample_id."""
    groups = dataset.demographics[["patient_id", "age_years", "sex", "population", "site", "race", "insurance"]]
    return groups.join(dataset.manifest[["view", "manufacturer", "split", "content_sha256"]])


def split_counts(films: pd.DataFrame | None, axes: Sequence[Axis]) -> pd.DataFrame:
    """Films and patients of each split in everyone and in each stratum of the plain axes that the dataset tells.

    Columns: axis, stratum, split, n_images, n_patients; no row without a dataset (None) or where it has no splits.
    """
    if films is None or films["split"].isna().all():
        return pd.DataFrame(columns=COLUMNS)
    films = films[films["split"].notna()]
    named = {"all": (["all"] * len(films), lambda stratum: (0, stratum))}
    named |= {axis.name: (list(axis.assign(films)), axis.order) for axis in axes if axis.column in films}
    parts = []
    for name, (strata, order) in named.items():
        counts = films.assign(stratum=strata).groupby(["stratum", "split"], observed=True)["patient_id"]
        table = counts.agg(n_images="size", n_patients="nunique").reset_index().assign(axis=name)
        parts.append(
            table.sort_values(["stratum", "split"], key=lambda c, by=order: c.map(by) if c.name == "stratum" else c)
        )
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def leaks_between_splits(films: pd.DataFrame, audited: pd.Index, name: str) -> str | None:
    """Where the audited films stand, and how many patients and films stand in two splits; None without splits.

    ``films``: as ``films_of``; ``audited``: sample_ids. Only equal pixels are seen; raydino curate finds near copies.
    """
    known = films[films["split"].notna()]
    mine = known[known.index.isin(audited)]
    if mine.empty:
        return None
    torn = [known.groupby(column)["split"].nunique() for column in ("patient_id", "content_sha256")]
    patients, copies = (set(splits.index[splits > 1]) for splits in torn)
    sizes = mine["split"].value_counts().sort_index()
    counts = ", ".join(f"{split} ({size:,} films)" for split, size in sizes.items())
    return (
        f"In the dataset {name} the audited films stand in the split {counts}. Of their patients "
        f"{len(set(mine['patient_id']) & patients):,} stand in more than one split, and of the films "
        f"{int(mine['content_sha256'].isin(copies).sum()):,} pixel for pixel. Near copies are found by raydino curate."
    )
