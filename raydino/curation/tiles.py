"""Which centroids may be nearest to a vector, on a CPU's matrix unit: scores are looked at as soon as they are there.

``Products`` writes the scores of a block of vectors to memory and reads them again, which takes as long as the product
where that is fast. Here 32 x 32 scores at a time stay in the cache, and leave no trace but those that matter. They are
sums in float32, not rounded to bf16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raydino.curation.amx import (
    DEPTH,
    SIDE,
    TILE_BYTES,
    configuration,
    configure,
    lowest_bit,
    multiply_add,
    release,
    start_at,
    store_sums,
    which_reach,
)
from raydino.curation.loops import bits_of_bf16, compiled

Array = npt.NDArray[Any]

_PANEL_NUMBERS = 2**17  # of the vectors that meet all centroids before the next do: 256 KB in bf16
_STEP_BYTES = 2 * TILE_BYTES  # 32 numbers each of 32 vectors


class Tiles:
    """``centroids`` [K, D] less ``origin`` [D], in the order in which the unit takes them."""

    def __init__(self, centroids: Tensor, origin: Tensor, half_square: Tensor) -> None:
        (n, dim), n_blocks, steps = centroids.shape, -(-len(centroids) // SIDE), -(-centroids.shape[1] // DEPTH)
        self._origin = origin
        padded = torch.zeros((n_blocks * SIDE, steps * DEPTH), dtype=torch.bfloat16)
        torch.sub(centroids, origin, out=padded[:n, :dim])
        pairs = padded.view(n_blocks, 2, 16, steps, DEPTH // 2, 2).permute(0, 3, 1, 4, 2, 5)
        self._right = pairs.contiguous().view(torch.uint16).view(n_blocks, steps, -1)
        self._bias = torch.full((n_blocks * SIDE,), -torch.inf)
        self._bias[:n] = -half_square

    def contenders(
        self, vectors: Tensor, level: Tensor, slack: Tensor, margin: Tensor, own: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As ``Products.contenders``."""
        own = torch.full_like(level, -1, dtype=torch.int64) if own is None else own
        top = level.clone()
        rows, columns = self._meet(vectors, level, level + slack, margin, own, top)
        return rows, columns, top.sub_(level)

    def best(self, vectors: Tensor, _: Tensor) -> Tensor:
        """As ``Products.best``."""
        lowest, nobody = vectors.new_full((len(vectors),), -torch.inf), torch.full((len(vectors),), -1)
        rows, columns = self._meet(vectors, lowest, lowest, torch.zeros_like(lowest), nobody, lowest.clone())
        return nobody.index_put_((rows,), columns)

    def _meet(self, vectors: Tensor, *limits: Tensor) -> tuple[Tensor, Tensor]:
        n_panels, steps = max(1, _PANEL_NUMBERS // self._right[0].numel()), self._right.shape[1]
        panels = torch.zeros((n_panels, steps, SIDE, DEPTH), dtype=torch.uint16)
        scores = torch.empty((SIDE, SIDE))  # as panels on whole lines of the cache, which tiles ask for
        operands = (vectors, self._origin, self._right, self._bias, *limits, panels, scores)
        rows, columns = _contenders(*(t.numpy() for t in operands), configuration())
        return torch.from_numpy(rows), torch.from_numpy(columns)


@compiled()
def _contenders(
    vectors: Array,
    origin: Array,
    right: Array,
    bias: Array,
    level: Array,
    floor: Array,
    margin: Array,
    own: Array,
    top: Array,
    panels: Array,
    scores: Array,
    layout: Array,
) -> tuple[Array, Array]:
    """Rows, ascending, and columns, ascending in each row, of the scores that are at least ``floor`` and no more than
    ``margin`` below the row's highest, ``own`` apart; ``top`` becomes the highest where it is above."""
    n, group, found = len(vectors), len(panels) * SIDE, 0
    rows, columns = np.empty(n + SIDE, np.int64), np.empty(n + SIDE, np.int64)
    configure(layout.ctypes.data)
    for first in range(0, n, group):
        part = slice(first, min(n, first + group))
        _write_panels(panels, vectors[part], origin)
        least = level[part].copy()
        limits = least, floor[part], margin[part], own[part], top[part]
        row, column, score, used = _log(panels, right, bias, *limits, scores)
        start = _starts(row[:used], score[:used], least)
        while len(rows) < found + start[-1]:
            rows, columns = np.concatenate((rows, rows)), np.concatenate((columns, columns))
        for entry in range(used):
            if score[entry] >= least[row[entry]]:
                place = found + start[row[entry]]
                rows[place], columns[place] = first + row[entry], column[entry]
                start[row[entry]] += 1
        found += start[-1]
    release()
    return rows[:found], columns[:found]


@compiled()
def _write_panels(panels: Array, vectors: Array, origin: Array) -> None:
    """``vectors`` less ``origin`` as tiles, 32 vectors a panel; what a tile takes beyond D stays 0."""
    for row in range(len(vectors)):
        for step in range(panels.shape[1]):
            first = step * DEPTH
            for k in range(min(DEPTH, len(origin) - first)):
                panels[row // SIDE, step, row % SIDE, k] = bits_of_bf16(vectors[row, first + k] - origin[first + k])


@compiled()
def _log(
    panels: Array,
    right: Array,
    bias: Array,
    least: Array,
    floor: Array,
    margin: Array,
    own: Array,
    top: Array,
    scores: Array,
) -> tuple[Array, Array, Array, int]:
    """Rows, columns and scores of those that were contenders when they came; how many. What a later one had to reach is
    in ``least``."""
    n, used = len(least), 0
    row, column = np.empty(4 * n + SIDE * SIDE, np.int64), np.empty(4 * n + SIDE * SIDE, np.int64)
    score = np.empty(4 * n + SIDE * SIDE, np.float32)
    for block in range(len(right)):
        for first in range(0, n, SIDE):
            _score(panels, right, bias, scores, first // SIDE, block)
            if used + SIDE * SIDE > len(row):  # once a panel: where contenders are found, it slows what finds none
                row, column = np.concatenate((row, row)), np.concatenate((column, column))
                score = np.concatenate((score, score))
            for place in range(first, min(n, first + SIDE)):
                line = place - first
                bits = which_reach(scores.ctypes.data + line * SIDE * 4, least[place])
                while bits:
                    lane = lowest_bit(bits)
                    bits &= bits - np.uint32(1)
                    new, centroid = scores[line, lane], block * SIDE + lane
                    if new < least[place] or centroid == own[place]:
                        continue
                    if new >= floor[place]:
                        row[used], column[used], score[used] = place, centroid, new
                        used += 1
                    top[place] = max(top[place], new)
                    least[place] = max(least[place], min(new, max(floor[place], new - margin[place])))
    for place in range(n):
        least[place] = max(least[place], floor[place])
    return row, column, score, used


@compiled()
def _score(panels: Array, right: Array, bias: Array, scores: Array, panel: int, block: int) -> None:
    """Write to ``scores`` [32, 32] the products of a panel's vectors with a block's centroids, plus these' ``bias``."""
    steps = panels.shape[1]
    start_at(bias.ctypes.data + block * SIDE * 4)
    for step in range(steps):
        multiply_add(
            panels.ctypes.data + (panel * steps + step) * _STEP_BYTES,
            right.ctypes.data + (block * steps + step) * _STEP_BYTES,
        )
    store_sums(scores.ctypes.data)


@compiled()
def _starts(row: Array, score: Array, least: Array) -> Array:
    """Where each row's contenders start, if these stand row by row; and how many there are."""
    start = np.zeros(len(least) + 1, np.int64)
    for entry in range(len(row)):
        start[row[entry] + 1] += score[entry] >= least[row[entry]]
    return np.cumsum(start)
