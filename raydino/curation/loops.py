"""Loops of k-means on a CPU, compiled by numba: one pass over memory where PyTorch's operations take several."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def _compiled(**options: Any) -> Any:
    """The decorator; machine code is kept beside this file or in the user's cache, where either can be written."""

    def compile_(function: Any) -> Any:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # numba finds no place for its cache
            return numba.njit(nogil=True, **options)(function)

    return compile_


@_compiled()
def _bits_of_bf16(number: Any) -> Any:
    """The bits, uint16, of the bf16 nearest to a finite float32, of two the even one."""
    bits = np.float32(number).view(np.uint32)
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@_compiled()
def _bf16(number: Any) -> Any:
    return np.uint32(np.uint32(_bits_of_bf16(number)) << np.uint32(16)).view(np.float32)


@_compiled(fastmath={"reassoc", "contract"})
def measure(vectors: Array, origin: Array, norm: Array, lost: Array) -> None:
    """Write to ``norm`` [n] those of ``vectors`` [n, D] less ``origin`` [D], and to ``lost`` [n] the norms of what they
    lose when they are rounded to bf16; all are float32."""
    for row in range(vectors.shape[0]):
        total, rest = np.float32(0), np.float32(0)
        for column in range(vectors.shape[1]):
            centred = vectors[row, column] - origin[column]
            total += centred * centred
            rest += (centred - _bf16(centred)) ** 2
        norm[row], lost[row] = np.sqrt(total), np.sqrt(rest)


@_compiled()
def write_bf16(bits: Array, vectors: Array, origin: Array, numbers: Array, place: int) -> None:
    """Write ``vectors`` [n, D] less ``origin`` [D] to the first n rows and D columns of ``bits``, and from column
    ``place`` on three parts that add up to ``numbers`` [n]: finite float32 to uint16, the bits of bf16."""
    for row in range(vectors.shape[0]):
        for column in range(vectors.shape[1]):
            bits[row, column] = _bits_of_bf16(vectors[row, column] - origin[column])
        rest = numbers[row]
        for column in range(place, place + 3):
            bits[row, column] = _bits_of_bf16(rest)
            rest -= _bf16(rest)


@_compiled()
def at_least(numbers: Array, group_maxima: Array, least: Array) -> tuple[Array, Array]:
    """Rows, ascending, and columns of the ``numbers`` [n, members × groups] that are ``least`` [n] or more.

    Group g are the columns g, g + groups, …; their maxima [n, groups] say where to look."""
    n_groups, hits = group_maxima.shape[1], 0
    for row in range(group_maxima.shape[0]):
        for group in range(n_groups):
            hits += group_maxima[row, group] >= least[row]
    room = hits * (numbers.shape[1] // n_groups)
    rows, columns = np.empty(room, np.int64), np.empty(room, np.int64)
    found = 0
    for row in range(group_maxima.shape[0]):
        for group in range(n_groups):
            if group_maxima[row, group] >= least[row]:
                for column in range(group, numbers.shape[1], n_groups):
                    rows[found], columns[found] = row, column
                    found += numbers[row, column] >= least[row]
    return rows[:found], columns[:found]


@_compiled(fastmath={"reassoc", "contract"})  # summed up in any order, so by whole registers
def squared_between(left: Array, rows: Array, right: Array, others: Array, squared: Array) -> None:
    """Write |left[rows] - right[others]|² of P pairs of vectors to ``squared`` [P], computed in its type."""
    number = squared.dtype.type
    for pair in range(rows.shape[0]):
        mine, theirs = left[rows[pair]], right[others[pair]]
        total = number(0)
        for column in range(mine.shape[0]):
            difference = number(mine[column]) - number(theirs[column])
            total += difference * difference
        squared[pair] = total


@_compiled()
def move(vectors: Array, before: Array, after: Array, rounder: float, sums: Array, counts: Array) -> None:
    """Take ``vectors`` [n, D], rounded by adding and subtracting ``rounder``, out of the ``sums`` [K, D] and ``counts``
    [K] of ``before`` [n], -1 for none, and add them to those of ``after`` [n]."""
    for row in range(vectors.shape[0]):
        leaves, comes = before[row], after[row]
        counts[comes] += 1
        for column in range(vectors.shape[1]):
            sums[comes, column] += (np.float64(vectors[row, column]) + rounder) - rounder
        if leaves >= 0:
            counts[leaves] -= 1
            for column in range(vectors.shape[1]):
                sums[leaves, column] -= (np.float64(vectors[row, column]) + rounder) - rounder
