"""What a fitted head relies on, without gradients: hide a part of the film's tokens and see what its score loses.

Occlusion after Zeiler & Fergus (1311.2901, 4.2), on the frozen encoder's patch tokens instead of on pixels: a hidden
patch takes the film's mean token, so the head is asked about a film in which this place says nothing of its own. That
explains the head. What a token knows of other places went through the encoder's attention and is not undone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from raydino.encoder import EncoderOutput

AT_A_TIME = 64


@torch.no_grad()
def occlusion_map(score: Callable[[EncoderOutput], Tensor], output: EncoderOutput, side: int = 1) -> Tensor:
    """[h, w, L] how much each of L scores falls where a square of ``side`` patches is hidden, per place.

    ``output`` is of one film; ``score`` gives [B, L]. Squares overlap (one starts at each patch, cut off at the
    film's edge) and a place's value is the mean over the squares that cover it. Negative: the score rises.
    """
    _, h, w, _ = output.patches.shape
    whole = score(output)
    tops, lefts = torch.meshgrid(torch.arange(1 - side, h), torch.arange(1 - side, w), indexing="ij")
    rows, cols = torch.arange(h), torch.arange(w)
    inside_rows = (rows >= tops.reshape(-1, 1)) & (rows < tops.reshape(-1, 1) + side)
    inside_cols = (cols >= lefts.reshape(-1, 1)) & (cols < lefts.reshape(-1, 1) + side)
    hidden = inside_rows[:, :, None] & inside_cols[:, None, :]  # [squares, h, w]
    drops = torch.cat([whole - score(_hide(output, squares)) for squares in hidden.split(AT_A_TIME)])
    covered = hidden.to(drops).flatten(1)
    return ((covered.T @ drops) / covered.sum(dim=0)[:, None]).unflatten(0, (h, w))


def _hide(output: EncoderOutput, squares: Tensor) -> EncoderOutput:
    """One film, [1, …], as many times as there are ``squares`` [Q, h, w], each with its square hidden."""
    mean = output.patches.mean(dim=(1, 2), keepdim=True)
    patches = torch.where(squares[..., None].to(mean.device), mean, output.patches)
    n = len(squares)
    return EncoderOutput(
        output.cls.expand(n, *output.cls.shape[1:]), output.registers.expand(n, *output.registers.shape[1:]), patches
    )
