"""The vectors that curation works on: an encoder's features of a dataset, or anybody's embeddings with ids.

Sources: a features artifact (``raydino embed``), a ``.parquet`` with a column of ids and one of vectors, or a ``.npy``
[N, D] with its ids in a text file of the same name (``.ids.txt``, one a line). Arrays stay memory-mapped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raydino.curation.kmeans import Vectors
from raydino.errors import UserError

_CHECK_ROWS = 65536


@dataclass(frozen=True)
class Embeddings:
    """``vectors`` [N, D] of ``ids``; ``inputs`` are the fingerprints that a header records of them."""

    ids: list[str]
    vectors: Vectors
    inputs: dict[str, str]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.ids):
            raise UserError(f"{len(self.ids)} ids for vectors of shape {self.vectors.shape}", remedy="one row an id")


def require_usable(vectors: Vectors, ids: list[str], where: object = None) -> None:
    """Raise UserError on ids that repeat, NaN or infinite values, and vectors that are all alike."""
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise UserError(f"the id {twice!r} stands twice", where=where)
    if len(ids) == 0:
        raise UserError("holds no vector", where=where)
    low = high = np.asarray(vectors[0], np.float32)
    for start in range(0, len(vectors), _CHECK_ROWS):
        block = np.asarray(vectors[start : start + _CHECK_ROWS], np.float32)
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            raise UserError(f"the vector of {ids[start + int(bad.argmax())]!r} holds NaN or infinity", where=where)
        low, high = np.minimum(low, block.min(0)), np.maximum(high, block.max(0))
    if len(ids) > 1 and (low == high).all():
        raise UserError("all its vectors are alike", where=where, remedy="an encoder that has not collapsed")
