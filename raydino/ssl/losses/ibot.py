"""The iBOT loss: cross-entropy between teacher and student on masked patches of the global crops.

iBOT (2111.07832), DINOv2 paper §4 and code: every image weighs the same however many of its patches
are masked, and the sum is divided by the number of global crops, masked or not.
"""

from __future__ import annotations

from torch import Tensor

from raydino.ssl.losses.cross_entropy import cross_entropy


def ibot_loss(targets_MK: Tensor, student_scores_MK: Tensor, weights_M: Tensor, *, n_images: int) -> Tensor:
    """M masked patches of ``n_images`` global crops; ``weights_M`` is 1 / masked patches of its image."""
    return (cross_entropy(targets_MK, student_scores_MK) * weights_M).sum() / n_images
