"""Losses of yes/no labels, each with unknown ones left out; a recipe chooses one by ``loss: {kind: …}``.

z logits, y truth (1, 0), p = σ(z). Every label is a problem of its own; ``objectives`` takes them together.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from raydino.config import Config


class LabelLoss(Config):
    """One loss; ``each`` is its mathematics on labels that are all known."""

    @abstractmethod
    def each(self, logits: Tensor, truth: Tensor, prevalence: Tensor) -> Tensor:
        """[…, L] loss of each label. ``truth`` holds 1 and 0, ``prevalence`` [L] is that of the training films."""

    def __call__(self, logits: Tensor, target: Tensor, prevalence: Tensor) -> Tensor:
        """[B, H, L] from ``logits`` [B, H, L] and ``target`` [B, L] (1, 0, NaN unknown): 0 where unknown."""
        known = target.isfinite()[:, None]
        truth = target.nan_to_num()[:, None].expand_as(logits)
        return self.each(logits, truth, prevalence) * known


class BCE(LabelLoss):
    """Binary cross-entropy: -y ln p - (1 - y) ln(1 - p)."""

    kind: Literal["bce"] = "bce"

    def each(self, logits: Tensor, truth: Tensor, prevalence: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, truth, reduction="none")


class WeightedBCE(LabelLoss):
    """Cross-entropy whose positives weigh ((1 - π) / π)^``power``, for π the label's prevalence in training.

    At power 1 positives and negatives weigh the same in sum. Its σ(z) is no probability: calibrate.
    """

    kind: Literal["weighted_bce"]
    power: float = Field(default=1.0, ge=0, le=1)

    def each(self, logits: Tensor, truth: Tensor, prevalence: Tensor) -> Tensor:
        weight = ((1 - prevalence) / prevalence) ** self.power
        return F.binary_cross_entropy_with_logits(logits, truth, reduction="none", pos_weight=weight)


class Focal(LabelLoss):
    """Focal loss (Lin 2017, 1708.02002, eq. 5): α_t (1 - p_t)^γ (-ln p_t), for p_t the probability of the truth."""

    kind: Literal["focal"]
    gamma: float = Field(default=2.0, ge=0)
    alpha: float = Field(default=0.25, gt=0, lt=1)  # of positives; 1 - α of negatives

    def each(self, logits: Tensor, truth: Tensor, prevalence: Tensor) -> Tensor:
        entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        wrong = torch.sigmoid(torch.where(truth > 0, -logits, logits))
        return torch.where(truth > 0, self.alpha, 1 - self.alpha) * _power(wrong, self.gamma) * entropy


class Asymmetric(LabelLoss):
    """Asymmetric loss (Ridnik 2021, 2009.14119, eq. 7): easy negatives count less, the easiest not at all.

    Positives (1 - p)^γ₊ (-ln p); negatives q^γ₋ (-ln(1 - q)) with q = max(p - ``margin``, 0).
    """

    kind: Literal["asymmetric"]
    gamma_positive: float = Field(default=0.0, ge=0)
    gamma_negative: float = Field(default=4.0, ge=0)
    margin: float = Field(default=0.05, ge=0, lt=1)

    def each(self, logits: Tensor, truth: Tensor, prevalence: Tensor) -> Tensor:
        positive = _power(torch.sigmoid(-logits), self.gamma_positive) * -F.logsigmoid(logits)
        shifted = (torch.sigmoid(logits) - self.margin).clamp(min=0)  # at most 1 - margin: with one, ln stays finite
        surprise = -torch.log1p(-shifted) if self.margin > 0 else -F.logsigmoid(-logits)
        negative = _power(shifted, self.gamma_negative) * surprise
        return torch.where(truth > 0, positive, negative)


Loss = Annotated[BCE | WeightedBCE | Focal | Asymmetric, Field(discriminator="kind")]


def _power(base: Tensor, exponent: float) -> Tensor:
    """``base`` ≥ 0 to the power; below the smallest float it counts as that: its slope at 0 would be infinite."""
    return base.clamp(min=torch.finfo(base.dtype).tiny) ** exponent
