"""Sinkhorn-Knopp centring of the teacher's scores (SwAV 2006.09882; DINOv2 paper §4), over all ranks.

Alternates between giving every prototype the same share of the batch and every sample a distribution
that sums to 1. Each step only rescales columns or rows, so two vectors of factors hold the whole state: the
N x K matrix is read, and written once at the end. Ranks may hold different numbers of samples (masked patches),
also none. ``exp`` is taken after subtracting the largest score, which cancels and cannot overflow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydino.ssl.wide import wide, without_autocast
from raydino.train.distributed import all_max, all_sum

# MKL sets its exponential up in the first call. Where two threads made it at once, one of them sometimes computed it to
# half the digits, and the run took another course; so one thread makes the first call here.
torch.zeros(1).exp_()


@torch.no_grad()
def sinkhorn_knopp(scores_NK: Tensor, temperature: float, *, n_iterations: int = 3) -> Tensor:
    """Prototype scores [N, K] of this rank → its targets [N, K], float32 or wider; each row sums to 1.

    After the last iteration the columns are only nearly equal, as in the paper's three iterations.
    """
    scores_NK = wide(scores_NK)
    n_samples, n_prototypes = scores_NK.shape
    largest = all_max(scores_NK.max() if n_samples else scores_NK.new_tensor(-torch.inf))
    mass_NK = scores_NK.sub(largest).div_(temperature).exp_()
    tiny = torch.finfo(mass_NK.dtype).tiny
    share = all_sum(mass_NK.new_tensor(n_samples)) / n_prototypes  # of all samples, what each prototype is to have
    columns_K = mass_NK.new_ones(n_prototypes)
    rows_N = mass_NK.new_ones(n_samples)
    with without_autocast(mass_NK):
        for iteration in range(n_iterations):
            if iteration:
                rows_N = (mass_NK @ columns_K).clamp_min_(tiny).reciprocal_()
            columns_K = share / all_sum(mass_NK.T @ rows_N).clamp_min_(tiny)
    mass_NK.mul_(columns_K)
    return mass_NK.div_(mass_NK.sum(dim=1, keepdim=True).clamp_min_(tiny))
