"""The step of ``ssl_step.py`` as one writes it down at first, and as the official code does it.

Every crop size by itself through SDPA, F.normalize for the prototypes, log_softmax in float32 for each pair of
crops, Sinkhorn on whole matrices, AdamW and the moving average as torch has them.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydino.data.batches import Batch
from raydino.ssl.losses.koleo import koleo_loss
from raydino.ssl.method import DinoV2


class Reference:
    """The same step, written down in the straightforward way."""

    def __init__(self, core: DinoV2, device: torch.device, *, temperature: float, momentum: float) -> None:
        self.temperature, self.momentum = temperature, momentum
        self.student, self.teacher = copy.deepcopy(core.student), copy.deepcopy(core.teacher)
        for network in (self.student, self.teacher):
            network.backbone.use_attention("sdpa", device)
        self.optimizer = torch.optim.AdamW(self.student.parameters(), lr=1e-4, weight_decay=0.04)

    def step(self, batch: Batch, amp: torch.autocast) -> Tensor:
        with amp:
            loss = self._loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        for part in self.student.children():
            nn.utils.clip_grad_norm_(part.parameters(), 3.0)
        self.optimizer.step()
        with torch.no_grad():
            for old, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                old.mul_(self.momentum).add_(new, alpha=1 - self.momentum)
        return loss.detach()

    def _loss(self, batch: Batch) -> Tensor:
        global_crops, local_crops = ((crops - 0.5) / 0.25 for crops in (batch.global_crops, batch.local_crops))
        masks, n_films = batch.masks, len(global_crops) // 2
        with torch.no_grad():
            tokens = self.teacher.backbone(global_crops)
            cls_targets = sinkhorn(score(self.teacher.dino_head, tokens.cls), self.temperature).chunk(2)
            patch_targets = sinkhorn(
                score(self.teacher.ibot_head, tokens.patches.flatten(1, 2)[masks]), self.temperature
            )
        seen = self.student.backbone(global_crops, masks)
        globals_ = score(self.student.dino_head, seen.cls).chunk(2)
        locals_ = score(self.student.dino_head, self.student.backbone(local_crops).cls).split(n_films)
        patches = score(self.student.ibot_head, seen.patches.flatten(1, 2)[masks])
        n_terms = 2 + 2 * len(locals_)
        dino = entropy(cls_targets[1], globals_[0]).mean() + entropy(cls_targets[0], globals_[1]).mean()
        for crop in locals_:
            for target in cls_targets:
                dino = dino + entropy(target, crop).mean()
        weights = (1 / masks.sum(1).clamp_min(1))[:, None].expand_as(masks)[masks]
        ibot = (entropy(patch_targets, patches) * weights).sum() / len(masks)
        koleo = sum(koleo_loss(cls) for cls in seen.cls.chunk(2))
        return dino / n_terms + ibot + 0.1 * koleo


def score(head: nn.Module, x: Tensor) -> Tensor:
    return F.linear(F.normalize(head.mlp(x), dim=-1), F.normalize(head.prototypes.weight, dim=-1))


def entropy(target: Tensor, scores: Tensor) -> Tensor:
    return -(target * F.log_softmax(scores.float() / 0.1, dim=-1)).sum(-1)


def sinkhorn(scores: Tensor, temperature: float) -> Tensor:
    q = torch.exp(scores.float() / temperature).T
    q = q / q.sum()
    for _ in range(3):
        q = q / q.sum(dim=1, keepdim=True) / q.shape[0]
        q = q / q.sum(dim=0, keepdim=True) / q.shape[1]
    return (q * q.shape[1]).T
