"""The newest centroids of a long clustering, kept in a file so that a run that was killed goes on from them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from raydino import __version__
from raydino.curation.kmeans import F32, Vectors

_BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Newest:
    """``path`` (nothing is kept where it is None), and a ``stamp`` of all that decides the centroids.

    What another input, recipe, seed or version left under the same name is not taken.
    """

    path: Path | None
    stamp: str

    @staticmethod
    def of(work: Path | None, name: str, vectors: Vectors, facts: Iterable[object]) -> Newest:
        """In the directory ``work`` under ``name``, stamped with the content of ``vectors`` and with ``facts``."""
        if work is None:
            return Newest(None, "")
        digest = hashlib.sha256(repr((__version__, vectors.shape, vectors.dtype.str, *facts)).encode())
        for start in range(0, len(vectors), _BLOCK_ROWS):
            digest.update(np.ascontiguousarray(vectors[start : start + _BLOCK_ROWS]).data)
        return Newest(work / f"{name}.npz", digest.hexdigest())

    def load(self) -> tuple[int, F32] | None:
        """(round, centroids), or None where there is no such file or it is of something else."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as held:
                return (int(held["round"]), held["centroids"]) if str(held["stamp"]) == self.stamp else None
        except (ValueError, KeyError, EOFError, BadZipFile):
            return None

    def save(self, number: int, centroids: F32) -> None:
        """Replace what is kept. Ranks that share ``path`` all write the same, each under a temporary name of its own.

        Raises OSError where the directory cannot be written.
        """
        if self.path is None:
            return
        descriptor, partial = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.partial-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(file, stamp=np.array(self.stamp), round=np.array(number), centroids=centroids)
            os.replace(partial, self.path)
        finally:
            Path(partial).unlink(missing_ok=True)
