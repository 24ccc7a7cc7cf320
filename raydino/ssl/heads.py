"""The projection head of DINO and iBOT: a three-layer MLP, an L2-normed bottleneck, prototypes.

DINOv2 paper §4 and its code: hidden width 2048, GELU, no batch norm, a weight-normed last layer whose
gain stays 1 and which has no bias. DINO and iBOT have a head each (untied).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Prototypes(nn.Module):
    """Scores of unit vectors against unit prototypes: weight normalisation with its gain fixed at 1."""

    def __init__(self, dim: int, n_prototypes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_prototypes, dim))

    def forward(self, x: Tensor) -> Tensor:
        # PyTorch's own weight normalisation: one fused kernel each way, where F.normalize makes seven passes.
        unit = torch._weight_norm(self.weight, self.weight.new_ones(len(self.weight), 1), 0)
        return F.linear(x, unit)


class ProjectionHead(nn.Module):
    """Tokens [..., dim] → prototype scores [..., n_prototypes], each in -1..1."""

    def __init__(self, dim: int, *, hidden_dim: int, bottleneck_dim: int, n_prototypes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, bottleneck_dim),
        )
        self.prototypes = Prototypes(bottleneck_dim, n_prototypes)

    def initialise(self, generator: torch.Generator) -> ProjectionHead:
        """Truncated normal weights (std 0.02), zero biases; prototypes as torch's linear layers start.

        Their length (0.58 on average) does not change the scores, but sets how fast Adam turns them.
        """
        for module in self.mlp:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
                nn.init.zeros_(module.bias)
        bound = self.prototypes.weight.shape[1] ** -0.5
        nn.init.uniform_(self.prototypes.weight, -bound, bound, generator=generator)
        return self

    def forward(self, x: Tensor) -> Tensor:
        bottleneck = self.mlp(x)
        return self.prototypes(F.normalize(bottleneck, dim=-1, eps=1e-6 if x.dtype == torch.float16 else 1e-12))
