"""What a mask is fitted with: soft Dice, cross-entropy and focal loss, each with a weight of its own.

Dice looks at the overlap and does not care how small a structure is; cross-entropy has a gradient at every
pixel; the focal loss (Lin 2017, 1708.02002) counts pixels that are right already for little. All through MONAI.
"""

from __future__ import annotations

import torch.nn.functional as F
from monai.losses import DiceLoss, FocalLoss
from pydantic import Field, model_validator
from torch import Tensor

from raydino.config import Config


class MaskLoss(Config):
    """Weights of the terms; a term of weight 0 is not computed."""

    dice: float = Field(default=1.0, ge=0)
    cross_entropy: float = Field(default=1.0, ge=0)
    focal: float = Field(default=0.0, ge=0)
    focal_gamma: float = Field(default=2.0, ge=0)  # 0 makes the focal loss the cross-entropy

    @model_validator(mode="after")
    def _something(self) -> MaskLoss:
        if not self.dice + self.cross_entropy + self.focal:
            raise ValueError("at least one of dice, cross_entropy and focal must be above 0")
        return self


def mask_losses(logits: Tensor, truth: Tensor, weights: MaskLoss) -> Tensor:
    """[N] the weighted loss of each mask; both [N, rows, cols], ``truth`` 1 inside and 0 outside, float."""
    total = logits.new_zeros(len(logits))
    if weights.dice:
        dice = DiceLoss(sigmoid=True, reduction="none")(logits[:, None], truth[:, None])
        total = total + weights.dice * dice.flatten()
    if weights.cross_entropy:
        entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        total = total + weights.cross_entropy * entropy.mean(dim=(1, 2))
    if weights.focal:
        focal = FocalLoss(gamma=weights.focal_gamma, reduction="none")(logits[:, None], truth[:, None])
        total = total + weights.focal * focal.mean(dim=(1, 2, 3))
    return total
