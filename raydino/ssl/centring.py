"""From the teacher's scores to targets: the two centrings of DINOv2's code (paper §4).

``sinkhorn`` (all long DINOv2 configs) balances the prototypes within each batch. ``moving_average``
(DINO 2104.14294 §3.1, the default of DINOv2's code) subtracts a running mean of the scores before the
softmax. Class tokens and patches have a centring each.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from raydino.config import Config
from raydino.ssl.sinkhorn import sinkhorn_knopp
from raydino.ssl.wide import wide
from raydino.train.distributed import all_sum


class SinkhornConfig(Config):
    """Sinkhorn-Knopp within each batch."""

    kind: Literal["sinkhorn"] = "sinkhorn"
    iterations: int = Field(default=3, gt=0)


class MovingAverageConfig(Config):
    """Softmax of (scores - centre); the centre moves by 1 - ``momentum`` towards each batch's mean."""

    kind: Literal["moving_average"] = "moving_average"
    momentum: float = Field(default=0.9, ge=0, lt=1)


CentringConfig = Annotated[SinkhornConfig | MovingAverageConfig, Field(discriminator="kind")]


class Sinkhorn(nn.Module):
    """Holds nothing from step to step."""

    def __init__(self, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations

    def targets(self, scores_NK: Tensor, temperature: float) -> Tensor:
        """Rows that sum to 1, from the scores of a whole batch."""
        return sinkhorn_knopp(scores_NK, temperature, n_iterations=self.iterations)

    def end_step(self) -> None:
        """Nothing to carry over."""


class MovingAverage(nn.Module):
    """Holds the centre [K], which is saved with the run.

    A step is centred by the batches before it, as in DINOv2's code; its own mean enters at ``end_step``, so a
    step that is skipped leaves no trace. The mean is over all samples of all ranks.
    """

    def __init__(self, n_prototypes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(n_prototypes))
        self._batch_mean: Tensor | None = None

    @torch.no_grad()
    def targets(self, scores_NK: Tensor, temperature: float) -> Tensor:
        """Rows that sum to 1, from the scores of a whole batch."""
        scores_NK = wide(scores_NK)
        n_samples = all_sum(scores_NK.new_tensor(float(len(scores_NK))))
        total_K = all_sum(scores_NK.sum(dim=0))
        # A batch without samples (nothing masked on any rank) leaves the centre where it is.
        self._batch_mean = torch.where(n_samples > 0, total_K / n_samples.clamp_min(1), self.centre)
        return ((scores_NK - self.centre) / temperature).softmax(dim=-1)

    @torch.no_grad()
    def end_step(self) -> None:
        """Move the centre towards the mean of the scores last seen."""
        if self._batch_mean is not None:
            self.centre.lerp_(self._batch_mean.to(self.centre.dtype), 1 - self.momentum)
            self._batch_mean = None


def make_centring(config: SinkhornConfig | MovingAverageConfig, n_prototypes: int) -> Sinkhorn | MovingAverage:
    """The centring of one kind of token."""
    if isinstance(config, SinkhornConfig):
        return Sinkhorn(config.iterations)
    return MovingAverage(n_prototypes, config.momentum)
