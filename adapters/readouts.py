"""Several readouts of the same tokens at once, and one readout of many films at once.

Patch tokens are by far the most numbers, so a grid reads them once: a coarser mean is taken of a finer one where that
is the same number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from adapters.batches import FilmFeatures
from raydino.encoder import EncoderOutput
from raydino.readout import Readout, readout


def as_readout(output: EncoderOutput | Tensor, kind: Readout) -> Tensor:
    """[B, F] of an encoder's output, or the readout that it was condensed to already."""
    return output if isinstance(output, Tensor) else readout(output, kind)


def gather(films: FilmFeatures, kind: Readout) -> Tensor:
    """[N, F] of all films, in order, on the CPU; patch tokens are read batch by batch, so they may exceed memory."""
    return torch.cat([as_readout(output, kind).cpu() for _, output in films.batches()])


def readouts(output: EncoderOutput, kinds: Sequence[Readout]) -> list[Tensor]:
    """[B, F] of each kind: what ``raydino.readout.readout`` gives, reading the patch tokens as seldom as can be."""
    grids = pooled_grids(output.patches.permute(0, 3, 1, 2), (_side(kind) for kind in kinds if kind != "cls"))
    found = []
    for kind in kinds:
        if kind == "cls":
            found.append(output.cls)
        elif kind == "cls_mean":
            found.append(torch.cat([output.cls, grids[1].flatten(1)], dim=1))
        else:
            found.append(grids[_side(kind)].flatten(1))
    return found


def pooled_grids(patches: Tensor, sides: Iterable[int]) -> dict[int, Tensor]:
    """Patch tokens [B, D, h, w] averaged to each n × n of ``sides``: {n: [B, D, n, n]}."""
    found: dict[int, Tensor] = {}
    for side in sorted(set(sides), reverse=True):
        # the cells of an n × n grid are made of whole cells of a finer one only where both divide the tokens
        finer = [n for n in found if n % side == 0 and not any(size % n for size in patches.shape[2:])]
        found[side] = F.adaptive_avg_pool2d(found[min(finer)] if finer else patches, side)
    return found


def _side(kind: Readout) -> int:
    return 1 if kind == "cls_mean" else int(kind.removeprefix("grid_"))
