"""Curation as a whole: vectors in, a selection out. Each step says which rows it takes out and why, so all add up.

Order: duplicates and leaks, retrieval, clusters, sampling (DINOv2 §3 and §A; Vo et al. 2405.15613). One file a step;
``recipe`` says what each can be asked for, ``material`` brings what they work on, ``report`` shows what they did.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from raydino.curation.copies import find_copies
from raydino.curation.duplicates import Pairs, deduplicate
from raydino.curation.embeddings import CHECK_ROWS
from raydino.curation.hierarchy import Hierarchy, build
from raydino.curation.kmeans import F32, I64, Vectors, kmeans
from raydino.curation.material import Material, require_same_kind
from raydino.curation.neighbours import nearest_neighbours
from raydino.curation.recipe import ByCluster, BySample, CurateRecipe, Duplicates, Subset, Weights
from raydino.curation.retrieval import retrieve_by_cluster, retrieve_by_sample
from raydino.curation.sampling import balanced_weights, flat_sample, hierarchical_sample
from raydino.curation.thresholds import Calibration
from raydino.errors import UserError
from raydino.train.distributed import is_main, wait_for_all
from raydino.train.precision import keep_freed_memory


@dataclass(frozen=True)
class Curated:
    """``table`` is raydino.artifacts.selection.ROWS of each vector of the pool.

    ``compared`` are the pairs of films that were compared, at ``threshold``; None where no duplicates were sought.
    """

    table: pd.DataFrame
    hierarchy: Hierarchy | None
    compared: Pairs | None
    threshold: float | None
    calibration: Calibration | None

    @property
    def clustered(self) -> list[str]:
        """The ids whose hierarchy it is, in its order."""
        return [] if self.hierarchy is None else self.table["sample_id"][self.table["cluster_l1"].notna()].tolist()


def curate(material: Material, recipe: CurateRecipe, *, work: Path, device: str = "cpu") -> Curated:
    """Decide over every vector of the pool. Equal arguments give an equal table; a killed run goes on from ``work``.

    Under ``process_group`` every process calls it, with a ``work`` that all see, and gets the table of one process:
    they share the clustering and repeat the rest.
    """
    keep_freed_memory()
    work.mkdir(parents=True, exist_ok=True)
    ids = material.pool.ids
    table = pd.DataFrame({"sample_id": ids, "selected": True, "weight": 0.0, "distance": np.nan})
    table["reason"] = table["duplicate_of"] = pd.Series([None] * len(ids), dtype=object)
    pairs, threshold, calibration = None, None, None
    if recipe.duplicates:
        pairs, threshold, calibration = _compared(material, recipe.duplicates, recipe.seed)
        _remove_duplicates(table, material, pairs, threshold, recipe.duplicates)
    kept = _kept(table)
    if not len(kept):
        raise UserError("every film is a copy or a leak", where="recipe.duplicates", remedy="look at the threshold")
    hierarchy = None
    if recipe.retrieval:
        vectors = prepared(material.pool.vectors, kept, recipe.metric, work / "deduplicated.npy")
        found = _retrieved(vectors, material, recipe.retrieval, recipe, device)
        _leave_out(table, np.delete(kept, found), "not_retrieved")
        kept = _kept(table)
    if recipe.sampling:
        vectors = prepared(material.pool.vectors, kept, recipe.metric, work / "clustered.npy")
        hierarchy = build(vectors, recipe.levels, seed=recipe.seed, work=work, device=device)
        _place(table, kept, hierarchy)
        kept = _sample(table, kept, hierarchy, recipe.sampling, recipe.seed)
    if not table["weight"].any():
        table.loc[kept, "weight"] = 1 / len(kept)
    return Curated(table, hierarchy, pairs, threshold, calibration)


def prepared(vectors: Vectors, rows: I64, metric: str, path: Path) -> F32:
    """The vectors of ``rows``, float32 in the file ``path``: of length 1 where ``metric`` is cosine.

    Raises UserError where a vector has no direction.
    """
    if is_main():
        made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(len(rows), vectors.shape[1]))
        for start in range(0, len(rows), CHECK_ROWS):
            made[start : start + CHECK_ROWS] = scaled(vectors[rows[start : start + CHECK_ROWS]], metric)
        made.flush()
    wait_for_all()
    return np.asanyarray(np.load(path, mmap_mode="r"))


def scaled(vectors: Vectors, metric: str) -> F32:
    """float32; each of length 1 where ``metric`` is cosine."""
    block = np.asarray(vectors, np.float32)
    if metric != "cosine":
        return block
    lengths = np.linalg.norm(block, axis=1, keepdims=True)
    if not lengths.all():
        raise UserError("a vector is 0, which has no direction", remedy="set recipe.metric=l2")
    return block / lengths


def _compared(material: Material, recipe: Duplicates, seed: int) -> tuple[Pairs, float, Calibration | None]:
    """Which films are how alike, and from where on they are the same."""
    if recipe.compare == "vectors":
        vectors = material.all_vectors()
        k = min(recipe.neighbours, len(vectors) - 1)
        pairs = Pairs.of(nearest_neighbours(vectors, k=k, seed=seed))
        return pairs, float(recipe.threshold), None
    rate = recipe.false_merge_rate if recipe.threshold == "calibrated" else None
    copies = find_copies(material.films(), material.known, seed=seed, k=recipe.neighbours, false_merge_rate=rate)
    if copies.calibration is None:
        return copies.pairs, float(recipe.threshold), None
    copies.calibration.require_separates("recipe.duplicates")
    return copies.pairs, copies.calibration.threshold, copies.calibration


def _remove_duplicates(
    table: pd.DataFrame, material: Material, pairs: Pairs, threshold: float, recipe: Duplicates
) -> None:
    found = deduplicate(material.known, pairs, threshold, leaks=recipe.leaks)
    reasons = np.array(found.reasons[: len(table)], dtype=object)
    out = np.flatnonzero([reason is not None for reason in reasons])
    table.loc[out, "selected"] = False
    table.loc[out, "reason"] = reasons[out]
    table.loc[out, "duplicate_of"] = np.asarray(material.known.ids, object)[found.duplicate_of[out]]


def _retrieved(
    vectors: Vectors, material: Material, wanted: BySample | ByCluster, recipe: CurateRecipe, device: str
) -> I64:
    """Rows of ``vectors`` that any of the query sets asks for."""
    if not material.queries:
        raise UserError("retrieval without queries", where="recipe.retrieval", remedy="add --queries FEATURES")
    for one in material.queries:
        require_same_kind(material.pool, one)
    seed = recipe.seed
    queries = [scaled(one.vectors, recipe.metric) for one in material.queries]
    if isinstance(wanted, BySample):
        rows = [retrieve_by_sample(vectors, q, k=wanted.k, at_most=wanted.at_most, seed=seed) for q in queries]
    else:
        clusters = kmeans(vectors, wanted.n_clusters, seed=seed, device=device)
        rows = [
            retrieve_by_cluster(
                clusters.assignment,
                clusters.centroids,
                q,
                more_than=wanted.more_than,
                of_each=wanted.of_each,
                at_most=wanted.at_most,
                seed=seed,
            )
            for q in queries
        ]
    found = np.unique(np.concatenate(rows))
    if not len(found):
        raise UserError("the queries ask for nothing", where="recipe.retrieval", remedy="lower more_than")
    return found


def _place(table: pd.DataFrame, kept: I64, hierarchy: Hierarchy) -> None:
    """Write each kept row's clusters and distance."""
    for number, clusters in enumerate(hierarchy.paths().T, start=1):
        column = pd.array([pd.NA] * len(table), dtype="Int64")
        column[kept] = clusters
        table[f"cluster_l{number}"] = column
    table.loc[kept, "distance"] = np.sqrt(hierarchy.squared_distances.astype(np.float64))


def _sample(table: pd.DataFrame, kept: I64, hierarchy: Hierarchy, sampling: Subset | Weights, seed: int) -> I64:
    """Select among ``kept``, or weigh them."""
    if isinstance(sampling, Weights):
        table.loc[kept, "weight"] = balanced_weights(hierarchy, sampling.balance)
        return kept
    asked = sampling.budget
    budget = asked if isinstance(asked, int) else max(1, round(asked * len(table)))
    sample = hierarchical_sample if sampling.over == "all_levels" else flat_sample
    try:
        chosen = kept[sample(hierarchy, budget, seed=seed, leaf=sampling.leaf)]
    except UserError as error:
        raise UserError(error.what, where="recipe.sampling", remedy=error.remedy) from None
    _leave_out(table, np.setdiff1d(kept, chosen), "not_sampled")
    return chosen


def _leave_out(table: pd.DataFrame, rows: I64, reason: str) -> None:
    table.loc[rows, "selected"] = False
    table.loc[rows, "reason"] = reason


def _kept(table: pd.DataFrame) -> I64:
    return np.flatnonzero(table["selected"].to_numpy(bool))
