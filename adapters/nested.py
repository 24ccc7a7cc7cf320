"""Several readouts of a film in one vector, so that what they share is read, kept and multiplied once.

CLS + patch mean holds CLS. A grid holds each coarser one whose cells are whole cells of its own, the patch mean too:
told in an orthonormal basis whose first n² vectors are constant on the cells of the coarser n × n grid, the finer
grid's first n² numbers are the coarser grid, but for a rotation and a length. So the products of two films in the finer
grid are those in the coarser one and those of the rest.
Neighbours: ``raydino.readout`` (each readout by itself), ``classification.grid`` (the caller).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from raydino.encoder import EncoderOutput
from raydino.readout import Readout, cells, grid_side

Chain = tuple[int, ...]  # sides of grids, each a divisor of the next


class Nested:
    """Where each of ``kinds`` lies among T rows of D numbers: CLS if any asks for it, then the grids' coordinates."""

    def __init__(self, kinds: Sequence[Readout]) -> None:
        self._cls = any(kind.startswith("cls") for kind in kinds)
        self._chains = _chains(grid_side(kind) for kind in kinds if kind != "cls")
        self._starts: dict[int, int] = {}  # of each side
        self.n_rows = int(self._cls)  # T
        for chain in self._chains:
            self._starts |= dict.fromkeys(chain, self.n_rows)
            self.n_rows += chain[-1] ** 2
        ends = {row for kind in kinds for part in self.rows(kind) for row in (part.start, part.stop)}
        self.parts = [slice(*ends) for ends in pairwise(sorted(ends))]  # rows that the same readouts have

    def rows(self, kind: Readout) -> list[slice]:
        """The rows of ``kind``: CLS, a grid, or both."""
        if kind == "cls":
            return [slice(0, 1)]
        start, size = self._starts[grid_side(kind)], grid_side(kind) ** 2
        return [*(self.rows("cls") if kind == "cls_mean" else []), slice(start, start + size)]

    def read(self, output: EncoderOutput) -> Tensor:
        """[B, T, D]."""
        _, height, width, _ = output.patches.shape
        tokens = output.patches.flatten(1, 2)
        found = [output.cls[:, None]] if self._cls else []
        found += [_coordinates(chain, height, width).to(tokens) @ tokens for chain in self._chains]
        return torch.cat(found, dim=1)

    def turns(self, kind: Readout) -> list[Tensor]:
        """For each of ``rows(kind)`` what makes the rows of ``Nested([kind])`` of them: square, float64; a rotation
        times a length."""
        if kind == "cls":
            return [torch.ones(1, 1, dtype=torch.float64)]
        side = grid_side(kind)
        chain = next(chain for chain in self._chains if side in chain)
        grid = cells(side, chain[-1], chain[-1]) @ _basis(chain)[: side**2].T
        return [*(self.turns("cls") if kind == "cls_mean" else []), grid]


def _chains(sides: Iterable[int]) -> list[Chain]:
    """The grids in as few chains as come of giving each, finest first, to a chain of which it divides all."""
    found: list[Chain] = []
    for side in sorted(set(sides), reverse=True):
        home = next((place for place, chain in enumerate(found) if chain[0] % side == 0), None)
        if home is None:
            found.append((side,))
        else:
            found[home] = (side, *found[home])
    return found


@cache
def _basis(chain: Chain) -> Tensor:
    """[n², n²] float64, orthonormal rows on the cells of the finest grid, n × n; the first m² span an m × m grid."""
    finest = chain[-1]
    made = torch.empty(0, finest**2, dtype=torch.float64)
    for side in chain:
        constant = cells(side, finest, finest) * (finest / side)  # on each cell of this grid; rows of length 1
        rest = constant - constant @ made.T @ made
        # of the first grid they are a basis already, which no other machine may tell otherwise: bundles hold to it
        new = torch.linalg.svd(rest, full_matrices=False).Vh[: side**2 - len(made)] if len(made) else rest
        made = torch.cat([made, new])
    return made


@cache
def _coordinates(chain: Chain, height: int, width: int) -> Tensor:
    """[n², height · width]: coordinates of the finest grid from patch tokens."""
    return _basis(chain) @ cells(chain[-1], height, width)
