"""Gram anchoring: keep how patches resemble each other as an earlier teacher had it (DINOv3 2508.10104 §4).

Over long training the class token goes on improving while patch features lose their locality. The loss
compares, image by image, the student's Gram matrix of L2-normalised patch tokens (after the last norm, before
the heads, of the global crops) with that of the Gram teacher: a frozen earlier teacher, which sees the crop
unmasked. Only similarities between patches are anchored, not the features themselves.

The paper writes the squared Frobenius distance; DINOv3's code takes the mean over the N x N entries, so that the
weight does not depend on the resolution, and so does this. Its 7B recipe (dinov3_vit7b16_gram_anchor.yaml) lets
the weight rise from 0 to 2 after 1,000,000 steps and takes the current teacher as Gram teacher at 1,010,000 and each
10,000 steps after, three times in all. Its Gram teacher also sees the crop at twice the resolution; this one does not.
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from raydino.config import Config
from raydino.ssl.wide import wide, without_autocast


class GramConfig(Config):
    """When the Gram teacher is made and made anew; steps are optimiser steps of this run."""

    weight: float = Field(default=2.0, ge=0)
    start_step: int = Field(default=0, ge=0)  # no Gram term before
    path: str | None = None  # an encoder or a run to take it from; without, the teacher as it is at start_step
    refresh_every_steps: int | None = Field(default=None, gt=0)  # take the current teacher again; None: never
    max_refreshes: int | None = Field(default=None, ge=0)

    def takes_teacher_at(self, step: int) -> bool:
        """Whether the current teacher becomes the Gram teacher before ``step``."""
        since = step - self.start_step
        if since <= 0 or self.refresh_every_steps is None:
            return since == 0 and self.path is None
        n_refreshes, rest = divmod(since, self.refresh_every_steps)
        return rest == 0 and (self.max_refreshes is None or n_refreshes <= self.max_refreshes)


def gram_loss(student_BhwD: Tensor, gram_teacher_BhwD: Tensor) -> Tensor:
    """Mean over images and patch pairs of the squared difference of their cosines; no gradient to the teacher."""
    with without_autocast(student_BhwD):
        return (_cosines(student_BhwD) - _cosines(gram_teacher_BhwD.detach())).square().mean()


def _cosines(patches_BhwD: Tensor) -> Tensor:
    unit_BND = F.normalize(wide(patches_BhwD).flatten(1, 2), dim=-1)
    return unit_BND @ unit_BND.transpose(1, 2)
