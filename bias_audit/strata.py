"""Strata: every axis, and every crossing of axes, cuts the films into parts that add up to the whole.

A film lies in exactly one stratum of each axis. Neighbours: ``axes`` names the stratum of a film,
``audit`` takes the codes made here to rows of the predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from bias_audit.axes import MAX_STRATA, Axis, Strings
from raydino.artifacts.strata_names import EVERYONE, TIMES, UNKNOWN
from raydino.errors import UserError


@dataclass(frozen=True)
class Partition:
    """One axis or crossing of axes: ``codes[films]`` index ``strata``, so that nothing is left out."""

    axis: str
    title: str
    strata: tuple[str, ...]
    codes: npt.NDArray[np.int64]

    @property
    def depth(self) -> int:
        """0 for everyone, 1 for an axis, 2 for a pair of axes, …"""
        return 0 if self.axis == EVERYONE else 1 + self.axis.count(TIMES)


def partitions(films: pd.DataFrame, axes: Sequence[Axis], depth: int) -> list[Partition]:
    """Everyone, each axis, and crossings of up to ``depth`` axes that have two strata or more each.

    A crossing with an axis of a single stratum would only repeat the others. ``films``: one row a film.
    """
    everyone = Partition(EVERYONE, "Everyone", (EVERYONE,), np.zeros(len(films), np.int64))
    single = [_partition(axis, films) for axis in axes]
    several = [part for part in single if len(part.strata) > 1]
    crossed = [reduce(_crossed, chosen) for size in range(2, depth + 1) for chosen in combinations(several, size)]
    return [everyone, *single, *crossed]


def _partition(axis: Axis, films: pd.DataFrame) -> Partition:
    names: Strings = axis.assign(films)
    strata = sorted(set(names), key=axis.order)
    if len(strata) > MAX_STRATA:
        raise UserError(
            f"the axis {axis.name!r} has {len(strata)} values, more than {MAX_STRATA}",
            remedy="a measurement must be put into bands before it can be a group",
        )
    code = {name: index for index, name in enumerate(strata)}
    return Partition(axis.name, axis.title, tuple(strata), np.array([code[name] for name in names], np.int64))


def _crossed(a: Partition, b: Partition) -> Partition:
    """The cells of ``a`` × ``b`` that hold a film."""
    cells, codes = np.unique(a.codes * len(b.strata) + b.codes, return_inverse=True)
    names = tuple(f"{a.strata[cell // len(b.strata)]}{TIMES}{b.strata[cell % len(b.strata)]}" for cell in cells)
    return Partition(f"{a.axis}{TIMES}{b.axis}", f"{a.title}{TIMES}{b.title}", names, codes.astype(np.int64))


@dataclass(frozen=True)
class StrataIndex:
    """All strata of all partitions in one row: stratum k is ``names[k]``; [films, partitions] → k."""

    axes: tuple[str, ...]  # of each stratum
    names: tuple[str, ...]  # of each stratum
    depth: tuple[int, ...]  # of each stratum
    membership: npt.NDArray[np.int64]  # [films, partitions], the stratum of each film in each partition

    def __len__(self) -> int:
        return len(self.names)


def index_of(parts: Sequence[Partition]) -> StrataIndex:
    """Number the strata of all partitions one after another; stratum 0 is everyone."""
    offsets = np.cumsum([0, *(len(part.strata) for part in parts[:-1])])
    return StrataIndex(
        axes=tuple(part.axis for part in parts for _ in part.strata),
        names=tuple(name for part in parts for name in part.strata),
        depth=tuple(part.depth for part in parts for _ in part.strata),
        membership=np.stack([part.codes + offset for part, offset in zip(parts, offsets, strict=True)], axis=1),
    )


def cohort_table(films: pd.DataFrame, parts: Sequence[Partition]) -> pd.DataFrame:
    """Films and patients of every stratum, with the share of films whose group is unknown by axis.

    ``films`` holds patient_id. Columns: axis, stratum, n_images, n_patients, share. Within an axis n_images add up.
    """
    rows = []
    for part in parts:
        for code, name in enumerate(part.strata):
            inside = films["patient_id"][part.codes == code]
            share = len(inside) / len(films)
            rows.append((part.axis, name, len(inside), inside.nunique(), share))
    return pd.DataFrame(rows, columns=["axis", "stratum", "n_images", "n_patients", "share"])


def references_of(named: Mapping[str, str], index: StrataIndex) -> npt.NDArray[np.int64]:
    """[strata] the stratum that each is compared with, -1 where its axis has no reference, and of references.

    ``named``: axis → stratum. Raises UserError where there is no such axis or stratum.
    """
    chosen = np.full(len(index), -1, np.int64)
    for axis, stratum in named.items():
        places = {name: k for k, name in enumerate(index.names) if index.axes[k] == axis}
        if stratum not in places:
            known = ", ".join(places or dict.fromkeys(index.axes))
            what = f"the axis {axis!r} has no stratum {stratum!r}" if places else f"no axis is called {axis!r}"
            raise UserError(f"recipe.reference: {what}", remedy=f"known: {known}")
        for k in places.values():
            chosen[k] = -1 if k == places[stratum] else places[stratum]
    return chosen


def is_unknown(stratum: str) -> bool:
    """Whether any part of the stratum's name is UNKNOWN."""
    return UNKNOWN in stratum.split(TIMES)
