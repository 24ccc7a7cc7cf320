"""Sinkhorn-Knopp centring of the teacher's scores (SwAV 2006.09882; DINOv2 paper §4).

Alternates between giving every prototype the same share of the batch and every sample a
distribution that sums to 1. ``exp`` is taken after subtracting the largest score, which changes
nothing (a common factor cancels) and cannot overflow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydino.train.distributed import all_max, all_sum


@torch.no_grad()
def sinkhorn_knopp(scores_NK: Tensor, temperature: float, *, n_iterations: int = 3) -> Tensor:
    """Prototype scores [N, K] → targets [N, K], float32 or wider; each row sums to 1.

    After the last iteration the columns are only nearly equal, as in the paper's three iterations.
    """
    scores_NK = scores_NK if scores_NK.dtype == torch.float64 else scores_NK.float()
    k = scores_NK.shape[1]
    n = all_sum(torch.tensor(float(len(scores_NK)), dtype=scores_NK.dtype, device=scores_NK.device))
    largest = scores_NK.max() if len(scores_NK) else scores_NK.new_full((), -torch.inf)
    targets = torch.exp((scores_NK - all_max(largest)) / temperature)
    targets = targets / all_sum(targets.sum())
    tiny = torch.finfo(targets.dtype).tiny
    for _ in range(n_iterations):
        targets = targets / all_sum(targets.sum(dim=0, keepdim=True)).clamp_min(tiny) / k
        targets = targets / targets.sum(dim=1, keepdim=True).clamp_min(tiny) / n
    return targets * n
