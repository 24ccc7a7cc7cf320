"""One readout of a batch of films, and of many films at once."""

from __future__ import annotations

import torch
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
