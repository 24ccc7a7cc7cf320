"""What a curation works on: the pool's vectors, what is known of its films, and what must not leak into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raydino.artifacts.dataset import Dataset
from raydino.curation.copies import FilmsByRow
from raydino.curation.duplicates import Pool
from raydino.curation.embeddings import CHECK_ROWS, Embeddings
from raydino.curation.kmeans import Vectors
from raydino.curation.thumbnails import Film
from raydino.data.films import Films
from raydino.errors import UserError


@dataclass(frozen=True)
class Material:
    """``pool`` are the vectors to select from; ``known`` tells of them and, after them, of the protected rows.

    ``protected`` brings the vectors of the protected rows, ``film_sources`` the films of all rows in order; either may
    be missing, and what needs it then says so.
    """

    pool: Embeddings
    known: Pool
    protected: Sequence[Embeddings] = ()
    film_sources: Sequence[FilmsByRow] = ()
    queries: Sequence[Embeddings] = ()
    protected_inputs: Sequence[dict[str, str]] = ()

    def films(self) -> FilmsByRow:
        """The films of all rows. Raises UserError where the pool came as vectors."""
        if not self.film_sources:
            raise UserError(
                "there are no films to compare",
                where="recipe.duplicates.compare",
                remedy="curate a dataset (--data), or set it to vectors with a threshold",
            )
        return Joined(self.film_sources)

    def all_vectors(self) -> Vectors:
        """[pool and protected rows, D]. Raises UserError where protected films have no vectors or other ones."""
        parts = [self.pool, *self.protected]
        n_rows, width = sum(len(part.ids) for part in parts), self.pool.vectors.shape[1]
        if n_rows != len(self.known.ids):
            raise UserError("protected films have no vectors to compare", remedy="set recipe.duplicates.compare=films")
        if len(parts) == 1:
            return self.pool.vectors
        together = np.empty((n_rows, width), np.float32)
        stop = 0
        for part in parts:
            for start in range(0, len(part.ids), CHECK_ROWS):
                block = part.vectors[start : start + CHECK_ROWS]
                together[stop : stop + len(block)] = block
                stop += len(block)
        return together


@dataclass(frozen=True)
class Joined:
    """Films of several datasets, one after another."""

    sources: Sequence[FilmsByRow]

    def __len__(self) -> int:
        return sum(len(source) for source in self.sources)

    def __getitem__(self, row: int) -> Film:
        for source in self.sources:
            if row < len(source):
                return source[row]
            row -= len(source)
        raise IndexError(row)


def require_same_kind(pool: Embeddings, other: Embeddings) -> None:
    """Raise UserError where vectors cannot be compared: another width, or another encoder as far as is known."""
    width, other_width = pool.vectors.shape[1], other.vectors.shape[1]
    encoders = (pool.inputs.get("encoder"), other.inputs.get("encoder"))
    if width != other_width or (None not in encoders and encoders[0] != encoders[1]):
        raise UserError(
            f"vectors of {other_width} values beside a pool of {width}, or of another encoder",
            remedy="embed both with one encoder and one recipe.readout",
        )


def material_of_films(
    pool: Embeddings, dataset: Dataset, others: Sequence[Dataset] = (), queries: Sequence[Embeddings] = ()
) -> Material:
    """Films of ``dataset`` that have vectors; its validation and test films, and all of ``others``, are protected.

    Ids of other datasets are written ``NAME/id``. One key at ingest makes patients of several datasets comparable.
    """
    parts = [(dataset, pool.ids, ""), (dataset, dataset.sample_ids("val", "test"), "")]
    parts += [(other, other.sample_ids(), f"{Path(other.path).name}/") for other in others]
    ids: list[str] = []
    patients: list[str] = []
    contents: list[str] = []
    sizes: list[float] = []
    for source, part_ids, prefix in parts:
        rows = source.accepted.loc[part_ids]
        ids += [prefix + sample_id for sample_id in part_ids]
        patients += rows["patient_id"].astype(str).tolist()
        contents += [
            ids_ if content is None else content
            for ids_, content in zip(part_ids, rows["content_sha256"].tolist(), strict=True)
        ]
        sizes += (rows["rows"] * rows["cols"]).fillna(0).tolist()
    protected: npt.NDArray[np.bool_] = np.arange(len(ids)) >= len(pool.ids)
    films = [Films(source, part_ids, cache_bytes=0) for source, part_ids, _ in parts if part_ids]
    known = Pool(ids, patients, contents, sizes, protected)
    return Material(
        pool,
        known,
        film_sources=films,
        queries=queries,
        protected_inputs=[{"dataset": o.header.fingerprint} for o in others],
    )


def material_of_vectors(
    pool: Embeddings, protected: Sequence[Embeddings] = (), queries: Sequence[Embeddings] = ()
) -> Material:
    """Embeddings with ids, of which nothing else is known. Ids of protected sets are written ``protected-1/id``."""
    ids = [*pool.ids]
    for number, one in enumerate(protected, start=1):
        require_same_kind(pool, one)
        ids += [f"protected-{number}/{name}" for name in one.ids]
    flags: npt.NDArray[np.bool_] = np.arange(len(ids)) >= len(pool.ids)
    inputs = [one.inputs for one in protected]
    return Material(pool, Pool(ids, protected=flags), protected, queries=queries, protected_inputs=inputs)


def of_training(pool: Embeddings, dataset: Dataset, where: object = None) -> Embeddings:
    """The vectors of ``dataset``'s training films. Raises UserError where ``pool`` is of another dataset."""
    if pool.inputs.get("dataset") != dataset.header.fingerprint:
        raise UserError(f"not of the dataset {dataset.path}", where=where, remedy="run raydino embed again")
    train = dataset.sample_ids("train")
    return pool if train == pool.ids else pool.select(train)
