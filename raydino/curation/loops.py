"""Loops of k-means on a CPU, compiled by numba: one pass over memory where PyTorch's operations take several."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def compiled(**options: Any) -> Any:
    """The decorator; machine code is kept beside this file or in the user's cache, where either can be written."""

    def compile_(function: Any) -> Any:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # numba finds no place for its cache
            return numba.njit(nogil=True, **options)(function)

    return compile_


@compiled()
def bits_of_bf16(number: Any) -> Any:
    """The bits, uint16, of the bf16 nearest to a finite float32, of two the even one."""
    bits = np.float32(number).view(np.uint32)
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@compiled()
def _of_bits(bits: Any) -> Any:
    """The bf16 of these bits, uint16, as float32."""
    return np.uint32(np.uint32(bits) << np.uint32(16)).view(np.float32)


@compiled()
def _bf16(number: Any) -> Any:
    return _of_bits(bits_of_bf16(number))


@compiled(fastmath={"reassoc", "contract"})
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


@compiled()
def write_bf16(bits: Array, vectors: Array, origin: Array, numbers: Array, place: int) -> None:
    """Write ``vectors`` [n, D] less ``origin`` [D] to the first n rows and D columns of ``bits``, and from column
    ``place`` on three parts that add up to ``numbers`` [n]: finite float32 to uint16, the bits of bf16."""
    for row in range(vectors.shape[0]):
        for column in range(vectors.shape[1]):
            bits[row, column] = bits_of_bf16(vectors[row, column] - origin[column])
        rest = numbers[row]
        for column in range(place, place + 3):
            bits[row, column] = bits_of_bf16(rest)
            rest -= _bf16(rest)


@compiled()
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


@compiled(fastmath={"reassoc", "contract"})  # summed up in any order, so by whole registers
def _squared(mine: Array, theirs: Array, number: Any) -> Any:
    """|mine - theirs|² in the type of ``number``, which is 0."""
    for column in range(len(mine)):
        difference = type(number)(mine[column]) - type(number)(theirs[column])
        number += difference * difference
    return number


@compiled()
def squared_between(left: Array, rows: Array, right: Array, others: Array, squared: Array) -> None:
    """Write |left[rows] - right[others]|² of P pairs of vectors to ``squared`` [P], float32."""
    for pair in range(len(rows)):
        squared[pair] = _squared(left[rows[pair]], right[others[pair]], np.float32(0))


@compiled()
def contest(
    vectors: Array, centroids: Array, rows: Array, rivals: Array, own: Array, squared: Array, rounding: float
) -> tuple[Array, Array, Array]:
    """Rows, the nearest centroid and its squared distance, where that is one of the ``rivals`` [P] of ``rows`` [P],
    ascending, and not ``own`` [n]: as float64 sees it, the lowest on ties. -1 for own is a centroid that is not here,
    and keeps the row where it is as near; at ``squared`` [n] distance, as is any own, in float32, which is off by less
    than ``rounding``, relatively."""
    places, winners, nearest = np.empty_like(rows), np.empty_like(rivals), np.empty(len(rows), np.float32)
    distances, n_won, first = np.empty(len(rows), np.float32), 0, 0
    while first < len(rows):
        row, last, least = rows[first], first, squared[rows[first]]
        while last < len(rows) and rows[last] == row:
            distances[last] = _squared(vectors[row], centroids[rivals[last]], np.float32(0))
            least = min(least, distances[last])
            last += 1
        best, best_at, exact = own[row], squared[row], np.inf
        if best >= 0 and best_at <= (1 + rounding) * least:
            exact = _squared(vectors[row], centroids[best], np.float64(0))
        for pair in range(first, last):
            candidate = distances[pair] <= (1 + rounding) * least
            if candidate and (own[row] >= 0 or distances[pair] < squared[row]):
                now = _squared(vectors[row], centroids[rivals[pair]], np.float64(0))
                if now < exact or (now == exact and rivals[pair] < best):
                    best, best_at, exact = rivals[pair], distances[pair], now
        if best != own[row]:
            places[n_won], winners[n_won], nearest[n_won] = row, best, best_at
            n_won += 1
        first = last
    return places[:n_won], winners[:n_won], nearest[:n_won]


@compiled()
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


@compiled(fastmath={"reassoc", "contract", "nnan", "nsz"})
def _lowered(jury: Array, norm: float, norms: Array, products: Array) -> Any:
    """The sum of D² ``jury`` [n] once a vector is a seed whose squared distances are |a|² + |b|² - 2 a·b."""
    total = np.float32(0)
    for judge in range(len(jury)):
        total += min(jury[judge], norm + norms[judge] - np.float32(2) * _of_bits(products[judge]))
    return total


@compiled()
def _squared_of(mine: int, theirs: int, vectors: Array, norms: Array, products: Array) -> Any:
    """The squared distance of two ``vectors``: about, but where it is so small that rounding matters."""
    both = norms[mine] + norms[theirs]
    squared = both - np.float32(2) * _of_bits(products[mine, theirs])
    return squared if squared > both / 16 else _squared(vectors[mine], vectors[theirs], np.float32(0))


@compiled()
def choose(
    rows: Array,
    now: Array,
    jury: Array,
    vectors: Array,
    norms: Array,
    products: Array,
    jury_norms: Array,
    jury_products: Array,
    uniform: Array,
    n_trials: int,
) -> Array:
    """Which [s] of m ``rows`` become seeds; they were drawn in this order with probability proportional to D² ``now``
    [m], and are accepted by ``uniform`` [m] numbers below 1. Of ``n_trials`` accepted that one does which lowers D²
    ``jury`` [n] most. Both D² are brought up to date.

    ``vectors`` [m, D] have squared ``norms`` [m] and ``products`` [m, m], as bits of bf16; the jury's squared norms are
    ``jury_norms`` [n], its products with the vectors ``jury_products`` [m, n].
    """
    then, chosen, n_chosen = now.copy(), np.empty(len(rows), np.int64), 0
    trials, n_waiting = np.empty(n_trials, np.int64), 0
    for row in range(len(rows)):
        if uniform[row] * then[row] < now[row]:
            trials[n_waiting] = row
            n_waiting += 1
        if n_waiting == n_trials or (row == len(rows) - 1 and n_chosen == 0):
            best, least = 0, np.inf
            for trial in trials[:n_waiting]:
                rated = _lowered(jury, norms[trial], jury_norms, jury_products[trial])
                if rated < least:
                    best, least = trial, rated
            for other in range(row + 1, len(rows)):
                if rows[other] == rows[best]:
                    now[other] = 0
                else:
                    now[other] = min(now[other], _squared_of(best, other, vectors, norms, products))
            for judge in range(len(jury)):
                nearer = norms[best] + jury_norms[judge] - np.float32(2) * _of_bits(jury_products[best, judge])
                jury[judge] = min(jury[judge], nearer)
            chosen[n_chosen] = best
            n_chosen, n_waiting = n_chosen + 1, 0
    return chosen[:n_chosen]
