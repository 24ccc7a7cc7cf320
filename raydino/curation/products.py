"""Which centroids may be nearest to a vector, by matrix products of PyTorch: in bf16 where the CPU has it.

What decides is subtracted within the product, so that the results which matter are small numbers, and precise in bf16.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from raydino.curation.kernels import PARTS, at_least, product_type, write_operand

_SCORES = 2**22  # scores of a product: 8 MB in bf16, so that they stay in the cache …
_PRODUCT_ROWS = (256, 4096)  # … with this many vectors, at least and at most; powers of two, as is what lies between
_GROUP = 32  # centroids that are looked through together, at most
_LANES = 64  # groups come in multiples of this: else torch takes their maximum ten times as slowly
_FEWEST_ROWS = 64  # of a product


class Products:
    """``centroids`` [K, D] less ``origin`` [D], made ready for products with many blocks of vectors.

    The score of a vector x for a centroid c is x·c - ``half_square`` [K] of that, both less the origin.
    """

    def __init__(self, centroids: Tensor, origin: Tensor, half_square: Tensor) -> None:
        n, dim = centroids.shape
        self._origin, self._n, self._dim = origin, n, dim
        self._rows = int(np.clip(2 ** int(np.log2(max(1, _SCORES // n))), *_PRODUCT_ROWS))
        self._dtype = product_type(centroids.device)
        self._n_groups = -(-(n + 1) // (_GROUP * _LANES)) * _LANES
        padded = -(-(n + 1) // self._n_groups) * self._n_groups  # at least one that is no centroid
        self._operand = centroids.new_zeros((padded, dim + 2 * PARTS), dtype=self._dtype)
        write_operand(self._operand, centroids, origin, -half_square, dim)
        self._operand[:n, dim + PARTS :] = -1
        self._operand[n:, dim] = torch.finfo(self._dtype).min  # padding is nobody's rival
        self._of_thread = threading.local()  # where vectors become an operand, and their scores

    def contenders(
        self, vectors: Tensor, level: Tensor, slack: Tensor, margin: Tensor, own: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rows [P] of ``vectors`` [n, D], ascending, and columns [P] whose scores are at least ``slack`` [n] above
        ``level`` [n], and no more than ``margin`` [n] below the row's highest; and how far that is above the level [n].

        ``own`` [n] are left out. K is never a column. Scores are rounded; the rounding of the products' results, and
        that alone, is allowed for.
        """
        unit = 1.6 * torch.finfo(self._dtype).eps  # three roundings: of the highest, of another, and of ``least``
        rows, columns, above = [], [], torch.empty_like(level)
        for part, scores in self._products(vectors, level):
            if own is not None:
                scores[torch.arange(len(scores), device=own.device), own[part]] = torch.finfo(self._dtype).min
            best = self._grouped(scores).amax(1)
            top = best.amax(1).view(self._dtype).float().clamp_(min=0)
            least = torch.maximum(top - margin[part] - unit * (top + margin[part]), (1 - unit) * slack[part])
            row, column = at_least(_bits(scores), best, _bits(least.to(self._dtype)))
            rows.append(row + part.start)
            columns.append(column)
            above[part] = (1 + unit) * top
        return torch.cat(rows), torch.cat(columns), above

    def best(self, vectors: Tensor, below: Tensor) -> Tensor:
        """A column of a score that is among the highest, for each of ``vectors`` [n, D]: [n]; ``below`` [n] no score
        is."""
        found = []
        for _, scores in self._products(vectors, below):
            grouped = self._grouped(scores)
            group = grouped.amax(1).argmax(1)
            member = grouped.gather(2, group[:, None, None].expand(-1, grouped.shape[1], 1))[..., 0].argmax(1)
            found.append(member * self._n_groups + group)
        return torch.cat(found).clamp_(max=self._n - 1)

    def _products(self, vectors: Tensor, level: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """The scores [m, padded K] of some of the ``vectors`` [n, D] at a time, less ``level`` [n]: of which, and the
        scores, which are valid until the next."""
        for start in range(0, max(1, len(vectors)), self._rows):
            part = slice(start, min(start + self._rows, len(vectors)))
            yield part, self._product(vectors[part], level[part])

    def _product(self, vectors: Tensor, level: Tensor) -> Tensor:
        """The scores of ``vectors``, which are few enough; valid until this thread's next product.

        It is made for one of few numbers of rows, the last of them left over from before: oneDNN compiles a kernel for
        each shape that it meets, which may take longer than the product.
        """
        n = len(vectors)
        block, scores = self._places()
        write_operand(block, vectors, self._origin, level, self._dim + PARTS)
        rows = self._rows
        while rows // 2 >= max(n, _FEWEST_ROWS):
            rows //= 2
        torch.mm(block[:rows], self._operand.T, out=scores[:rows])
        return scores[:n]

    def _places(self) -> tuple[Tensor, Tensor]:
        """Where this thread's vectors become operands of products, and where their scores go."""
        mine = self._of_thread
        if not hasattr(mine, "block"):
            padded, columns = self._operand.shape
            mine.block = self._operand.new_zeros((self._rows, columns))
            mine.block[:, -2 * PARTS : -PARTS] = 1
            mine.scores = self._operand.new_empty((self._rows, padded))
        return mine.block, mine.scores

    def _grouped(self, scores: Tensor) -> Tensor:
        """``scores`` as [n, members, groups] of integers, which stand in the order of the numbers where those are at
        least 0: of integers torch takes maxima many times faster. A group is strided: it takes whole registers."""
        return _bits(scores).view(len(scores), scores.shape[1] // self._n_groups, self._n_groups)


def _bits(numbers: Tensor) -> Tensor:
    """The bits of floating-point ``numbers`` as integers of the same size."""
    return numbers.view(torch.int16 if numbers.element_size() == 2 else torch.int32)
