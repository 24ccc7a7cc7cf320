"""Copies among films, end to end: the pixels' vectors propose, registration decides, the archive says from where on.

Whoever has vectors and no films (embeddings of reports, of another domain) takes ``Pairs.of(nearest_neighbours(…))``
and their cosines instead, with ``calibrate_vectors`` or a threshold of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from raydino.curation.duplicates import Bools, Pairs, Pool
from raydino.curation.kmeans import F32, I64, Vectors
from raydino.curation.neighbours import Neighbours, nearest_neighbours
from raydino.curation.recoding import RECODINGS
from raydino.curation.registration import registered_similarities
from raydino.curation.thresholds import Calibration, calibrate
from raydino.curation.thumbnails import Descriptor, Film, Thumbnails, shifted, thumbnail, thumbnails
from raydino.errors import UserError

CANDIDATES = 16  # films that are laid upon each film
RECODED_FILMS = 300  # of each kind of copy


class FilmsByRow(Protocol):
    """Films that can be read one at a time, as ``raydino.data.films.Films``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Film: ...


@dataclass(frozen=True)
class Copies:
    """All pairs that were compared, with their registered similarity, and from which similarity on they are copies."""

    pairs: Pairs
    calibration: Calibration | None


def find_copies(
    films: FilmsByRow, pool: Pool, *, seed: int, k: int = CANDIDATES, false_merge_rate: float | None = 0.005
) -> Copies:
    """Compare each film with its ``k`` likeliest copies, and calibrate. Row i of ``films`` is row i of ``pool``.

    The films are read once, and those that are recoded a second time for each kind of copy. ``false_merge_rate`` None:
    no calibration, for whoever has a threshold. Raises UserError where the archive is too small to calibrate; the
    calibration says itself whether it separates.
    """
    if len(films) != len(pool.ids):
        raise UserError(f"{len(films)} films for {len(pool.ids)} ids", remedy="one for each id")
    pictures = thumbnails((films[row] for row in range(len(films))), len(films))
    descriptor = Descriptor.fit(pictures, seed=seed)
    vectors = descriptor(pictures)
    k = max(1, min(k, len(films) - 1))
    proposed = Pairs.of(_likeliest([descriptor(view) for view in shifted(pictures)], vectors, k, itself=True))
    pairs = Pairs(proposed.rows, registered_similarities(pictures, pictures, proposed.rows))
    if false_merge_rate is None:
        return Copies(pairs, None)
    drawn = np.sort(np.random.default_rng(seed).choice(len(films), min(RECODED_FILMS, len(films)), replace=False))
    positives = {
        kind: _found_again(recoded, drawn, pictures, descriptor, vectors, k)
        for kind, recoded in recoded_pictures(films, drawn, seed=seed)
    }
    calibration = calibrate(positives, nearest_strangers(pairs, pool), false_merge_rate=false_merge_rate)
    return Copies(pairs, calibration)


def recoded_pictures(films: FilmsByRow, rows: I64, *, seed: int) -> Iterator[tuple[str, Thumbnails]]:
    """For each kind of copy its name and the thumbnails [R, side, side] of such copies of the films ``rows`` [R]."""
    for number, (kind, recode) in enumerate(RECODINGS.items()):
        pictures = [thumbnail(recode(films[row], np.random.default_rng((seed, number, row)))) for row in rows.tolist()]
        yield kind, np.stack(pictures)


def nearest_strangers(pairs: Pairs, pool: Pool) -> F32:
    """[S] similarities of films and the most alike film of another patient, for all films that have such a pair."""
    strange = pairs.where(~pool.one_patient(pairs))
    best = np.full(len(pool.ids), -np.inf, np.float32)
    for end in (0, 1):
        np.maximum.at(best, strange.rows[:, end], strange.similarities)
    return best[np.isfinite(best)]


def calibrate_vectors(
    vectors: Vectors,
    pool: Pool,
    pairs: Pairs,
    copies: Mapping[str, Vectors],
    rows: I64,
    *,
    false_merge_rate: float = 0.005,
) -> Calibration:
    """The same for somebody's vectors: ``copies`` are vectors [R, D] of recoded films by kind, of ``rows`` [R].

    ``pairs`` come from the neighbours of ``vectors``, with cosines as similarities.
    """
    originals = _unit(vectors[rows])
    positives = {kind: (originals * _unit(of)).sum(axis=1) for kind, of in copies.items()}
    return calibrate(positives, nearest_strangers(pairs, pool), false_merge_rate=false_merge_rate)


def _likeliest(views: Sequence[F32], vectors: F32, k: int, *, itself: bool) -> Neighbours:
    """The k best over all views of each film; with ``itself``, the views are of the vectors' own films."""
    n = len(vectors)
    found = [nearest_neighbours(view, vectors, k=min(k + itself, n)) for view in views]
    rows = np.concatenate([one.rows for one in found], axis=1)
    similarities = np.concatenate([one.similarities for one in found], axis=1)
    if itself:
        similarities[rows == np.arange(n)[:, None]] = -np.inf
    order = np.argsort(-similarities, axis=1, kind="stable")
    rows, similarities = np.take_along_axis(rows, order, 1), np.take_along_axis(similarities, order, 1)
    similarities[_seen_before(rows)] = -np.inf
    best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    rows, similarities = np.take_along_axis(rows, best, 1), np.take_along_axis(similarities, best, 1)
    return Neighbours(np.where(np.isfinite(similarities), rows, -1), similarities)


def _seen_before(rows: I64) -> Bools:
    """[N, K]: whether the same number stands further left in the line."""
    order = np.argsort(rows, axis=1, kind="stable")
    sorted_rows = np.take_along_axis(rows, order, 1)
    again = np.zeros(rows.shape, bool)
    again[:, 1:] = sorted_rows[:, 1:] == sorted_rows[:, :-1]
    seen = np.empty_like(again)
    np.put_along_axis(seen, order, again, 1)
    return seen


def _found_again(
    recoded: Thumbnails, originals: I64, pictures: Thumbnails, descriptor: Descriptor, vectors: F32, k: int
) -> F32:
    """[R] similarities of copies and their originals; -1 where the original is not proposed for the copy."""
    likeliest = _likeliest([descriptor(view) for view in shifted(recoded)], vectors, k, itself=False)
    pairs = np.stack([np.arange(len(recoded)), originals], axis=1)
    similarities = registered_similarities(recoded, pictures, pairs)
    return np.where((likeliest.rows == originals[:, None]).any(axis=1), similarities, np.float32(-1))


def _unit(vectors: Vectors) -> F32:
    values = np.asarray(vectors, np.float32)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float32).tiny)
