"""The DINO loss: cross-entropy between the teacher's and the student's prototypes of the class token.

DINO (2104.14294), DINOv2 paper §4. The student's temperature is 0.1.
"""

from __future__ import annotations

from torch import Tensor

from raydino.ssl.losses.cross_entropy import cross_entropy


def dino_loss(targets_GBK: Tensor, globals_GBK: Tensor, locals_LBK: Tensor) -> tuple[Tensor, Tensor]:
    """(global, local) terms, weighted as in DINOv2's code.

    G = 2 global and L local crops of B films. Every local crop is compared with both globals, each
    global with the other one only; both sums are divided by their common number of terms, 2 + 2 L.
    """
    n_globals, n_locals = len(targets_GBK), len(locals_LBK)
    n_terms = n_globals * (n_globals - 1) + n_globals * n_locals
    # Both globals stand in one mean, so the mean counts twice.
    global_term = n_globals * cross_entropy(targets_GBK.flip(0), globals_GBK).mean()
    if n_locals:
        # Cross-entropy is linear in its targets: the sum over the two targets needs one softmax only.
        local_term = cross_entropy(targets_GBK.sum(dim=0), locals_LBK).mean(dim=-1).sum()
    else:
        local_term = global_term.new_zeros(())
    return global_term / n_terms, local_term / n_terms
