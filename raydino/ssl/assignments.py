"""What the teacher's targets say of a run's health: their entropy, and how many prototypes they use.

K prototypes; rows are distributions over them. Two bounds matter when reading them. ln K is the entropy of
a uniform target, which teaches nothing. And Sinkhorn-Knopp gives every prototype an equal share of the N
rows, so with K > N no batch can have a mean entropy much below ln(K / N); identical rows become uniform ones.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def target_entropy(targets_NK: Tensor) -> Tensor:
    """Mean entropy of the rows in nats, 0..ln K, a scalar; NaN without rows.

    Healthy: it falls below ln K within the warm-up and stays there, above 0.
    """
    return torch.special.entr(targets_NK).sum(dim=-1).mean()


@torch.no_grad()
def prototypes_used(scores_NK: Tensor, temperature: float) -> Tensor:
    """Perplexity of the mean of softmax(scores / temperature) as a share of K, 1/K..1, a scalar.

    Taken before centring, since Sinkhorn-Knopp's targets use all prototypes alike by construction. Healthy: a
    sizeable share; 1 together with targets of entropy ln K is uniform collapse, 1/K is a single prototype.
    """
    wide = scores_NK if scores_NK.dtype == torch.float64 else scores_NK.float()
    mean = (wide / temperature).softmax(dim=-1).mean(dim=0)
    return torch.special.entr(mean).sum().exp() / len(mean)
