"""Sinkhorn-Knopp centring of the teacher's scores (SwAV 2006.09882; DINOv2 paper §4), over all ranks.

Alternates between giving every prototype the same share of the batch and every sample a distribution
that sums to 1. Each step only rescales columns or rows, so two vectors of factors hold the whole state:
the N x K matrix is read but not written in between. Ranks may hold different numbers of samples (masked
patches), also none. ``exp`` is taken after subtracting the largest score, which changes nothing (a
common factor cancels) and cannot overflow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydino.ssl.wide import wide, without_autocast
from raydino.train.distributed import all_max, all_sum


@torch.no_grad()
def sinkhorn_knopp(scores_NK: Tensor, temperature: float, *, n_iterations: int = 3) -> Tensor:
    """Prototype scores [N, K] of this rank → its targets [N, K], float32 or wider; each row sums to 1.

    After the last iteration the columns are only nearly equal, as in the paper's three iterations.
    """
    scores_NK = wide(scores_NK)
    n_rows, n_prototypes = scores_NK.shape
    largest = all_max(scores_NK.max() if n_rows else scores_NK.new_tensor(-torch.inf))
    n_samples = all_sum(scores_NK.new_tensor(float(n_rows)))
    mass_NK = scores_NK.sub(largest).div_(temperature).exp_()
    tiny = torch.finfo(mass_NK.dtype).tiny
    row_factors_N = mass_NK.new_ones(n_rows)
    column_factors_K = mass_NK.new_ones(n_prototypes)
    with without_autocast(mass_NK):
        for _ in range(n_iterations):
            shares_K = all_sum(mass_NK.T @ row_factors_N)
            column_factors_K = 1 / (shares_K.clamp_min(tiny) * n_prototypes)
            row_factors_N = 1 / ((mass_NK @ column_factors_K).clamp_min(tiny) * n_samples)
    return mass_NK.mul_(column_factors_K).mul_((row_factors_N * n_samples)[:, None])
