"""Low-rank updates of a frozen network's matrices (LoRA, Hu et al. 2022): W + (alpha / rank)·B·A.

Linear layers of PyTorch and transformers' Conv1D (GPT-2's linear layer, whose weight lies transposed) are
replaced in place, by patterns on their names. B begins at zero, so that the network begins as it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from raydino.errors import UserError

_KINDS = (nn.Linear, Conv1D)


class LowRank(nn.Module):
    """``base`` with an update of rank ``rank`` that alone is trained."""

    def __init__(self, base: nn.Linear | Conv1D, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        n_in, n_out = reversed(base.weight.shape) if isinstance(base, nn.Linear) else base.weight.shape
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.empty(rank, n_in))
        self.up = nn.Parameter(torch.zeros(n_out, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, features: Tensor) -> Tensor:
        return self.base(features) + self.scale * F.linear(F.linear(features, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> nn.Module:
        """``base`` with the update added to its weight; gives what this module gives."""
        update = self.scale * self.up @ self.down
        self.base.weight += update if isinstance(self.base, nn.Linear) else update.T
        return self.base


def add_low_rank(model: nn.Module, patterns: Sequence[str], rank: int, alpha: float) -> list[str]:
    """Give every linear layer whose dotted name fits one of ``patterns`` an update; returns their names.

    Patterns are those of a shell: ``*.q_proj``. Raises UserError for a pattern that no linear layer fits.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, _KINDS)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in linear):
            ends = sorted({name.rpartition(".")[2] for name in linear})
            raise UserError(
                f"no linear layer of the language model fits the pattern {pattern!r}",
                remedy=f"its linear layers' names end in {', '.join(ends)}; write *.{ends[0]}" if ends else None,
            )
    chosen = [name for name in linear if any(fnmatchcase(name, pattern) for pattern in patterns)]
    for name in chosen:
        _replace(model, name, LowRank(model.get_submodule(name), rank, alpha))  # type: ignore[arg-type]
    return chosen


def merge_low_rank(model: nn.Module) -> None:
    """Put every update into its layer's weight; the model is then an ordinary one again."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LowRank):
            _replace(model, name, module.merged())


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
