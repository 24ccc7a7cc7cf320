"""The nearest neighbours of vectors by cosine, with faiss: near duplicates, leaks and retrieval stand on them.

A graph of k neighbours (DINOv2 §A takes 64) and not a search by radius: chest films look alike, so a radius that
finds all copies returns much of the archive for some films, while k bounds time and memory whatever the vectors are.
More than k copies of one film still hang together, each by its own neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from raydino.curation.kmeans import F32, I64, Vectors
from raydino.errors import UserError
from raydino.tracking import track

EXACT_ROWS = 250_000  # up to here every vector is compared with every other one
_BLOCK_ROWS = 4096
_TRAINING_ROWS_A_CELL = 50
_PROBED_CELLS = 32


@dataclass(frozen=True)
class Neighbours:
    """``rows`` [N, k] of the nearest vectors, the most alike first, and their cosines ``similarities`` [N, k].

    Where fewer than k were found, rows are -1 and similarities -inf.
    """

    rows: I64
    similarities: F32


def nearest_neighbours(
    queries: Vectors, among: Vectors | None = None, *, k: int, exact_rows: int = EXACT_ROWS, seed: int = 0
) -> Neighbours:
    """The ``k`` vectors of ``among`` that are nearest to each query; without ``among``, of the queries but for itself.

    Exact up to ``exact_rows`` vectors, above in the cells of a k-means that ``seed`` starts (faiss IVF). Vectors need
    not be normalised; they are read block by block, and the index keeps them once, as float32. Raises UserError
    where there are no more than ``k`` vectors.
    """
    itself = among is None
    base = queries if among is None else among
    if not 0 < k <= len(base) - itself:
        raise UserError(f"{k} neighbours among {len(base)} vectors", remedy="fewer neighbours than vectors, at least 1")
    index = _index(base, exact_rows, seed)
    rows = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    starts = range(0, len(queries), _BLOCK_ROWS)
    for start in track(starts, "neighbours") if len(starts) > 1 else starts:
        found, which = index.search(_unit(queries[start : start + _BLOCK_ROWS]), k + itself)
        if itself:
            found, which = _without_itself(found, which, start)
        stop = start + len(which)
        rows[start:stop] = which
        similarities[start:stop] = np.where(which >= 0, np.clip(found, -1, 1), -np.inf)
    return Neighbours(rows, similarities)


def require_faiss() -> ModuleType:
    """The module faiss. Raises UserError where it is missing."""
    try:
        import faiss  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise UserError("faiss is not installed", remedy="pip install 'raydino[curation]'") from None
    return faiss  # type: ignore[no-any-return, unused-ignore]


def _index(base: Vectors, exact_rows: int, seed: int) -> Any:  # a faiss.Index
    faiss = require_faiss()
    dim = base.shape[1]
    index = faiss.IndexFlatIP(dim)
    if len(base) > exact_rows:
        n_cells = int(4 * np.sqrt(len(base)))
        index = faiss.IndexIVFFlat(index, dim, n_cells, faiss.METRIC_INNER_PRODUCT)
        index.own_fields, index.cp.seed, index.nprobe = False, seed, min(_PROBED_CELLS, n_cells)
        n_training = min(len(base), _TRAINING_ROWS_A_CELL * n_cells)
        sample = np.random.default_rng(seed).choice(len(base), n_training, replace=False)
        index.train(_unit(base[np.sort(sample)]))
    for start in range(0, len(base), _BLOCK_ROWS):
        index.add(_unit(base[start : start + _BLOCK_ROWS]))
    return index


def _unit(block: Vectors) -> F32:
    values = np.asarray(block, np.float32)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return np.ascontiguousarray(values / np.maximum(norms, np.finfo(np.float32).tiny))


def _without_itself(found: F32, which: I64, start: int) -> tuple[F32, I64]:
    """Drop each query from its own neighbours, or the last neighbour where equal vectors crowd it out."""
    own = which == np.arange(start, start + len(which))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(which), which.shape[1] - 1)
    return found[~own].reshape(shape), which[~own].reshape(shape)
