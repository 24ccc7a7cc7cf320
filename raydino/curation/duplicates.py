"""Which films of a pool say the same thing twice, and which would tell a protected split's secrets (DINOv2 §A).

Pairs above a threshold are the edges of a graph, and so are films of equal content. Of each connected component one
film stays: the largest as stored, as a crop or a thumbnail has lost what it shows; among equals the lowest id. A
component that holds a protected film (validation, test, another dataset) leaves the pool as a whole.

Patients matter in two ways. Two films of one patient, a day apart, may be as alike as copies: one of them goes, and
nothing is lost but a repetition. One film under two patients is a red flag: the same person under two ids, or a film
filed wrongly. Such pairs are told apart in the result. And if a patient's film is a copy of a protected film, then
their other films show a protected person too, so by default all of that patient's films leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from raydino.curation.kmeans import F32, I64
from raydino.curation.neighbours import Neighbours
from raydino.curation.thresholds import require_threshold
from raydino.errors import UserError

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """``rows`` [M, 2] of two films, the lower first, sorted, none twice; their ``similarities`` [M] in -1…1."""

    rows: I64
    similarities: F32

    @classmethod
    def of(cls, neighbours: Neighbours) -> Pairs:
        """The edges of a graph of neighbours; where each names the other, the larger similarity counts."""
        n, k = neighbours.rows.shape
        ends = np.stack([np.repeat(np.arange(n), k), neighbours.rows.ravel()], axis=1)
        found = ends[:, 1] >= 0
        ends, similarities = np.sort(ends[found], axis=1), neighbours.similarities.ravel()[found]
        order = np.lexsort((-similarities, ends[:, 1], ends[:, 0]))
        ends, similarities = ends[order], similarities[order]
        first = np.ones(len(ends), bool)
        first[1:] = (ends[1:] != ends[:-1]).any(axis=1)
        return cls(ends[first], similarities[first])

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, kept: Bools) -> Pairs:
        """Those of ``kept`` [M]."""
        return Pairs(self.rows[kept], self.similarities[kept])


@dataclass(frozen=True)
class Pool:
    """What is known of N films beside how alike they are. Protected films stand among them, and never leave.

    ``patients`` None: each film is of its own; ``contents`` hashes of the pixels; ``sizes`` pixels of the stored film.
    """

    ids: Sequence[str]
    patients: Sequence[str] | None = None
    contents: Sequence[str] | None = None
    sizes: Sequence[float] | None = None
    protected: Bools | None = None

    def __post_init__(self) -> None:
        for name in ("patients", "contents", "sizes", "protected"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.ids):
                raise UserError(f"{len(column)} {name} for {len(self.ids)} films", remedy="one for each film")

    def one_patient(self, pairs: Pairs) -> Bools:
        """[M]: whether both films are of one patient."""
        patients = _numbers(self.ids if self.patients is None else self.patients)
        return np.asarray(patients[pairs.rows[:, 0]] == patients[pairs.rows[:, 1]])


@dataclass(frozen=True)
class Duplicates:
    """``reasons`` [N]: None for films that stay, else one of ``exact_duplicate``, ``near_duplicate``, ``leak``.

    ``duplicate_of`` [N] is the row of the film that stands for it or that it leaks, -1 for films that stay. It is of
    the same component, though not always directly alike. ``pairs`` are the edges; ``one_patient`` [M] says of each
    whether its films are of one patient: the others are for a human eye.
    """

    reasons: list[str | None]
    duplicate_of: I64
    components: I64
    pairs: Pairs
    one_patient: Bools

    @property
    def kept(self) -> Bools:
        """[N]: the films that stay."""
        return self.duplicate_of < 0


def deduplicate(
    pool: Pool, pairs: Pairs, threshold: float, *, leaks: Literal["component", "patient"] = "patient"
) -> Duplicates:
    """Decide for each film whether it stays. ``pairs`` below ``threshold`` don't count.

    ``leaks`` says what leaves with a film that leaks: its component, or also all other films of its patient.
    """
    require_threshold(threshold)
    n = len(pool.ids)
    edges = pairs.where(pairs.similarities >= threshold)
    contents = np.arange(n) if pool.contents is None else _numbers(pool.contents)
    components = _components(n, edges.rows, contents)
    protected = np.zeros(n, bool) if pool.protected is None else np.asarray(pool.protected, bool)
    order = _order_of_standing(pool, protected)
    stands_for = _first_of_each(components, order)
    leaked = protected[stands_for] & ~protected
    leaks_what = np.where(leaked, stands_for, -1)
    if leaks == "patient" and pool.patients is not None:
        leaks_what = _with_all_of_their_patients(leaks_what, _numbers(pool.patients), protected)
        leaked = leaks_what >= 0
    # those who left with their patient cannot stand for others
    rest = order[~leaked[order]]
    stands_for = _first_of_each(components, rest)
    duplicate_of = np.where(leaked, leaks_what, stands_for)
    duplicate_of[protected | (duplicate_of == np.arange(n))] = -1
    same = contents == contents[np.maximum(duplicate_of, 0)]
    reasons: list[str | None] = [
        None if of < 0 else "leak" if leak else "exact_duplicate" if equal else "near_duplicate"
        for of, leak, equal in zip(duplicate_of.tolist(), leaked.tolist(), same.tolist(), strict=True)
    ]
    return Duplicates(reasons, duplicate_of, components, edges, pool.one_patient(edges))


def _numbers(names: Sequence[str]) -> I64:
    """[N]: equal numbers for equal names."""
    return np.unique(np.asarray(names, dtype=str), return_inverse=True)[1].astype(np.int64)


def _components(n: int, edges: I64, contents: I64) -> I64:
    """[N]: the number of each film's component; films of equal content are joined to the first of them."""
    first = np.full(n, n, np.int64)
    np.minimum.at(first, contents, np.arange(n))
    ends = np.concatenate([edges, np.stack([np.arange(n), first[contents]], axis=1)])
    graph = coo_matrix((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)  # type: ignore[no-any-return]


def _order_of_standing(pool: Pool, protected: Bools) -> I64:
    """Rows by the right to stand for others: protected, then large, then of a low id."""
    sizes = np.zeros(len(pool.ids)) if pool.sizes is None else np.asarray(pool.sizes, np.float64)
    return np.lexsort((np.asarray(pool.ids, dtype=str), -sizes, ~protected)).astype(np.int64)


def _first_of_each(components: I64, order: I64) -> I64:
    """[N]: for each film the first of its component in ``order``, -1 where it holds none."""
    first = np.full(components.max(initial=-1) + 1, -1, np.int64)
    first[components[order][::-1]] = order[::-1]
    return np.asarray(first[components])


def _with_all_of_their_patients(leaks_what: I64, patients: I64, protected: Bools) -> I64:
    """Spread each patient's leak to their other films; of several the lowest row."""
    none = len(patients)
    of_patient = np.full(patients.max(initial=-1) + 1, none, np.int64)
    leaked = leaks_what >= 0
    np.minimum.at(of_patient, patients[leaked], leaks_what[leaked])
    spread = np.where(leaked, leaks_what, of_patient[patients])
    return np.where(protected | (spread == none), -1, spread)
