"""Of whom a pool and a selection are made: shares of groups before and after, and how even they are.

Pure functions and small tables. "Before" is the whole pool, every film alike; "after" weighs each film by how often
it is drawn, so that a hard subset and balanced weights are told by the same figures. Who is unknown is a group of its
own, so that every axis adds up to the pool. Neighbours: ``axes`` says who is in which group, ``report`` shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UNKNOWN = "unknown"
NO_FINDING = "none of them, as far as known"  # labelled, but no label is present
FEW_FILMS = 10  # a ratio of fewer films before is marked: one film more or less moves it by a tenth


@dataclass(frozen=True)
class Axis:
    """Memberships of films in groups: film ``films[m]`` of the pool is in group ``members[m]``.

    Where ``exclusive``, each film is in one group; else (findings) it may be in several. The group UNKNOWN, if there
    is one, stands last.
    """

    name: str
    title: str
    groups: tuple[str, ...]
    films: I64  # [memberships]
    members: I64  # [memberships]
    exclusive: bool = True


@dataclass(frozen=True)
class Pool:
    """``selected`` and ``weight`` of each film [N] (weights sum to 1), and its patient as a number, -1 if unknown."""

    selected: Flags
    weight: F64
    patient: I64

    @property
    def is_weighted(self) -> bool:
        """Whether some selected films are drawn more often than others."""
        drawn = self.weight[self.selected]
        return bool(len(drawn) and not np.allclose(drawn, drawn[0], rtol=1e-6, atol=0))

    def patients(self, films: I64) -> int:
        """The number of known patients among ``films`` (positions in the pool)."""
        patient = self.patient[films]
        return len(np.unique(patient[patient >= 0]))


@dataclass(frozen=True)
class Evenness:
    """How even a distribution over ``n_groups`` groups is."""

    n_groups: int
    entropy: float  # nats
    kl: float  # to the uniform distribution, nats; 0 is even
    effective: float  # as many groups of equal size have this entropy

    @classmethod
    def of(cls, amounts: npt.ArrayLike) -> Evenness:
        """Of non-negative amounts [groups]."""
        array = np.asarray(amounts, np.float64)
        return cls(len(array), entropy(array), kl_to_uniform(array), effective_number(array))


@dataclass(frozen=True)
class Group:
    """Films and patients of a group before and after; shares in 0..1 of the pool and of what is drawn."""

    name: str
    before: int
    after: int
    patients_before: int
    patients_after: int
    share_before: float
    share_after: float

    @property
    def ratio(self) -> float:
        """The share after over the share before: 1 is as before, NaN where there was none before."""
        return self.share_after / self.share_before if self.share_before else math.nan

    @property
    def is_few(self) -> bool:
        """Whether there are too few films before for the ratio to say much."""
        return self.before < FEW_FILMS


@dataclass(frozen=True)
class Composition:
    """One axis: its groups, and how even the known ones are before and after."""

    name: str
    title: str
    groups: tuple[Group, ...]
    even_before: Evenness
    even_after: Evenness
    exclusive: bool = True


def entropy(amounts: npt.ArrayLike) -> float:
    """Shannon's entropy in nats of amounts [K] ≥ 0 that are brought to sum 1; NaN where all are 0."""
    array = np.asarray(amounts, np.float64)
    if (array < 0).any():
        raise ValueError("amounts below 0 are no distribution")
    total = array.sum()
    if not total:
        return math.nan
    shares = array[array > 0] / total
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def kl_to_uniform(amounts: npt.ArrayLike) -> float:
    """Kullback and Leibler's divergence from the uniform distribution over the K groups, ln K − entropy, in nats."""
    array = np.asarray(amounts, np.float64)
    return max(0.0, math.log(len(array)) - entropy(array)) if array.sum() else math.nan


def effective_number(amounts: npt.ArrayLike) -> float:
    """exp(entropy): as many groups of equal size are as diverse (Hill 1973, the number of order 1)."""
    return math.exp(entropy(amounts))


def compose(axis: Axis, pool: Pool) -> Composition:
    """Count the groups of ``axis``. Groups without a film are left out; entropies are over the known groups."""
    kept = pool.selected[axis.films]
    n = len(axis.groups)
    before = np.bincount(axis.members, minlength=n)
    after = np.bincount(axis.members[kept], minlength=n)
    share_after = np.bincount(axis.members, weights=pool.weight[axis.films], minlength=n)
    patients_before = _patients(axis.members, pool.patient[axis.films], n)
    patients_after = _patients(axis.members[kept], pool.patient[axis.films][kept], n)
    groups = tuple(
        Group(
            name=axis.groups[g],
            before=int(before[g]),
            after=int(after[g]),
            patients_before=int(patients_before[g]),
            patients_after=int(patients_after[g]),
            share_before=before[g] / len(pool.selected),
            share_after=float(share_after[g]),
        )
        for g in range(n)
        if before[g]
    )
    known = [g for g in range(n) if before[g] and axis.groups[g] not in (UNKNOWN, NO_FINDING)]
    return Composition(
        axis.name,
        axis.title,
        groups,
        Evenness.of(before[known]),
        Evenness.of(share_after[known]),
        axis.exclusive,
    )


def folded(composition: Composition, at_most: int) -> Composition:
    """The same with the smallest known groups added up into one row where there are more than ``at_most``.

    Groups that share films would not add up, so an axis that is not exclusive comes back whole.
    """
    known = [group for group in composition.groups if group.name != UNKNOWN]
    if len(known) <= at_most or not composition.exclusive:
        return composition
    kept = set(sorted(known, key=lambda group: (-group.before, group.name))[: at_most - 1])
    small = [group for group in known if group not in kept]
    fold = Group(
        name=f"{len(small):,} smaller groups",
        before=sum(group.before for group in small),
        after=sum(group.after for group in small),
        patients_before=sum(group.patients_before for group in small),
        patients_after=sum(group.patients_after for group in small),
        share_before=sum(group.share_before for group in small),
        share_after=sum(group.share_after for group in small),
    )
    unknown = [group for group in composition.groups if group.name == UNKNOWN]
    return replace(composition, groups=(*(group for group in known if group in kept), fold, *unknown))


def _patients(members: I64, patient: I64, n_groups: int) -> I64:
    """The number of known patients of each group [n_groups]; one with films in several counts in each."""
    known = patient >= 0
    n_patients = int(patient.max(initial=0)) + 1
    pairs = np.sort(members[known] * n_patients + patient[known])  # np.unique hashes, much slower on millions
    distinct = pairs[np.diff(pairs, prepend=-1) > 0]
    return np.bincount(distinct // n_patients, minlength=n_groups)
