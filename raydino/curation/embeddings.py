"""The vectors that curation works on: an encoder's features of a dataset, or anybody's embeddings with ids.

``open_embeddings`` takes a features artifact (``raydino embed``), a ``.parquet`` with one column of ids and one of
vectors, or a ``.npy`` [N, D] with its ids in a text file beside it (``NAME.ids.txt``, one a line). ``film_vectors.py``
makes them from films. Arrays stay memory-mapped where their file allows it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from raydino.artifacts.features import FEATURES, INDEX
from raydino.artifacts.header import HEADER_NAME, read_header
from raydino.curation.kmeans import Vectors
from raydino.encoder import EncoderOutput
from raydino.errors import UserError
from raydino.readout import Readout, readout

CHECK_ROWS = 16384  # at a time, here and in normalising: bounds the memory


@dataclass(frozen=True)
class Embeddings:
    """``vectors`` [N, D] of ``ids``, checked; ``inputs`` are the fingerprints that a header records of them.

    D is 0 where films alone are compared, so that an archive can be rid of copies before there is an encoder.

    Raises UserError on ids that repeat, values that are NaN or infinite, and vectors that are all alike.
    """

    ids: list[str]
    vectors: Vectors
    inputs: dict[str, str]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.ids):
            raise UserError(f"{len(self.ids)} ids for vectors of shape {self.vectors.shape}", remedy="one row an id")
        if not self.ids:
            raise UserError("there is no vector or film to curate")
        require_unique(self.ids)
        if self.vectors.shape[1]:
            require_usable(self.vectors, self.ids)

    def select(self, ids: list[str]) -> Embeddings:
        """Those of ``ids``, in that order. Raises UserError for one that has no vector."""
        position = {name: row for row, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in position]
        if missing:
            raise UserError(f"{len(missing)} films have no vector, {missing[0]!r} among them")
        rows = np.array([position[name] for name in ids], np.int64)
        return Embeddings(ids, self.vectors[rows], self.inputs)


def require_unique(ids: list[str]) -> None:
    """Raise UserError where an id stands twice."""
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise UserError(f"the id {name!r} stands twice", remedy="one vector an id")
        seen.add(name)


def require_usable(vectors: Vectors, ids: list[str]) -> None:
    """Raise UserError where a value is NaN or infinite, or where all vectors are alike."""
    low = high = np.asarray(vectors[0], np.float32)
    for start in range(0, len(ids), CHECK_ROWS):
        block = np.asarray(vectors[start : start + CHECK_ROWS], np.float32)
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            raise UserError(f"the vector of {ids[start + int(bad.argmax())]!r} holds NaN or infinity")
        low, high = np.minimum(low, block.min(0)), np.maximum(high, block.max(0))
    if len(ids) > 1 and (low == high).all():
        raise UserError("all vectors are alike", remedy="the encoder has collapsed, or the films are blank")


def open_embeddings(path: Path, *, kind: Readout, work: Path) -> Embeddings:
    """Open ``path``; ``kind`` says how a features artifact becomes vectors, which are written below ``work``."""
    try:
        if (path / HEADER_NAME).is_file():
            return _of_features(path, kind, work)
        if path.suffix == ".npy":
            return _of_npy(path)
        if path.suffix == ".parquet":
            return _of_parquet(path)
    except UserError as error:
        raise UserError(error.what, where=error.where or path, remedy=error.remedy) from None
    what = "is neither a features artifact nor .npy nor .parquet" if path.exists() else "no such file or directory"
    raise UserError(what, where=path, remedy="give a dataset with --encoder, features, or embeddings with ids")


def _of_features(path: Path, kind: Readout, work: Path) -> Embeddings:
    header = read_header(path, FEATURES)
    ids = [str(name) for name in INDEX.read(path / "index.parquet")["sample_id"]]
    cls, patches = (np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("cls", "patches"))
    work.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(f"{header.fingerprint} {kind}".encode()).hexdigest()[:16]
    vectors = None
    for start in range(0, len(ids), CHECK_ROWS):
        rows = slice(start, start + CHECK_ROWS)
        patch_tokens = torch.from_numpy(np.array(patches[rows]))
        output = EncoderOutput(torch.from_numpy(np.array(cls[rows])), patch_tokens[:, 0, :0], patch_tokens)
        block = readout(output, kind).numpy()
        if vectors is None:
            vectors = np.lib.format.open_memmap(
                work / f"{name}.npy", mode="w+", dtype=np.float32, shape=(len(ids), block.shape[1])
            )
        vectors[rows] = block
    return Embeddings(ids, np.empty((0, 0), np.float32) if vectors is None else vectors, dict(header.inputs))


def _of_npy(path: Path) -> Embeddings:
    names = path.with_suffix(".ids.txt")
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        ids = names.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read ({error})", remedy=f"needed beside it: {names.name}, an id a line") from None
    _require_floats(vectors.dtype)
    return Embeddings(ids, vectors, {"embeddings": _sha256(path, names)})


def _of_parquet(path: Path) -> Embeddings:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"cannot be read as parquet ({error})") from None
    vectors_of = [f.name for f in table.schema if pa.types.is_list(f.type) or pa.types.is_fixed_size_list(f.type)]
    ids_of = [f.name for f in table.schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    ids_of = [name for name in ("sample_id", "id") if name in ids_of] or ids_of
    if len(vectors_of) != 1 or not ids_of:
        raise UserError(
            f"holds {len(vectors_of)} columns of vectors and {len(ids_of)} of text",
            remedy="needed: one column of lists of numbers, and one of ids called sample_id or id",
        )
    column = table[vectors_of[0]].combine_chunks()
    lengths = np.unique(column.value_lengths().to_numpy(zero_copy_only=False))
    if column.null_count or len(lengths) != 1:
        raise UserError(f"its vectors in {vectors_of[0]!r} are not all of one length", remedy="one length, no nulls")
    values = column.flatten().to_numpy(zero_copy_only=False)
    _require_floats(values.dtype)
    ids = [str(name) for name in table[ids_of[0]].to_pylist()]
    return Embeddings(ids, values.reshape(len(ids), -1), {"embeddings": _sha256(path)})


def _require_floats(dtype: np.dtype) -> None:
    if dtype not in (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)):
        raise UserError(f"holds {dtype} values", remedy="vectors of float16, float32 or float64 are needed")


def _sha256(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
