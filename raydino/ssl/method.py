"""DINOv2's training objective: student and teacher, and the losses of one batch.

The teacher sees the two global crops whole; the student sees the globals with masked patches, and
the local crops. Losses: DINO on class tokens, iBOT on masked patches, KoLeo on the student's global
class tokens. Crops of equal size run as one dense batch. Papers: DINOv2 (2304.07193) §4.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from raydino.config import Config
from raydino.data.batches import Batch
from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.ssl.heads import ProjectionHead
from raydino.ssl.losses.dino import dino_loss
from raydino.ssl.losses.ibot import ibot_loss
from raydino.ssl.losses.koleo import koleo_loss
from raydino.ssl.sinkhorn import sinkhorn_knopp
from raydino.ssl.teacher import update_teacher


class HeadConfig(Config):
    """Sizes of a projection head; DINO and iBOT have one each."""

    hidden_dim: int = Field(default=2048, gt=0)
    bottleneck_dim: int = Field(default=256, gt=0)
    n_prototypes: int = Field(default=65536, gt=1)


class LossWeights(Config):
    """DINOv2's weights."""

    dino: float = Field(default=1.0, ge=0)
    ibot: float = Field(default=1.0, ge=0)
    koleo: float = Field(default=0.1, ge=0)


class Targets(NamedTuple):
    """What the teacher says: cls [2, B, K] and masked patches [M, K], each row a distribution."""

    cls: Tensor
    patches: Tensor


class StudentOutput(NamedTuple):
    """What the student says of B films.

    cls [2B, D] and patches [2B, h, w, D] of the (masked) global crops before the heads; prototype scores
    of the globals' class tokens [2B, K], of the locals' [L·B, K] and of the M masked patches [M, K].
    """

    cls: Tensor
    patches: Tensor
    global_scores: Tensor
    local_scores: Tensor
    patch_scores: Tensor


class Network(nn.Module):
    """A backbone with its two heads: the student is one, the teacher another.

    ``forward`` is the student's whole pass, so that a wrapper for several processes sees one call a step.
    """

    def __init__(self, vit: ViTConfig, head: HeadConfig) -> None:
        super().__init__()
        self.backbone = VisionTransformer(vit)
        sizes = head.model_dump()
        self.dino_head = ProjectionHead(vit.embed_dim, **sizes)
        self.ibot_head = ProjectionHead(vit.embed_dim, **sizes)

    def initialise(self, generator: torch.Generator) -> Network:
        """Draw all weights from ``generator``; returns self."""
        self.backbone.initialise(generator)
        self.dino_head.initialise(generator)
        self.ibot_head.initialise(generator)
        return self

    def forward(self, global_crops: Tensor, masks: Tensor, local_crops: Tensor) -> StudentOutput:
        """Normalised crops; ``masks`` bool [2B, N] of the globals' patches."""
        groups: list[tuple[Tensor, Tensor | None]] = [(global_crops, masks)]
        if len(local_crops):
            groups.append((local_crops, None))
        seen, *rest = self.backbone.forward_groups(groups)
        class_scores = self.dino_head(torch.cat([tokens.cls for tokens in (seen, *rest)]))
        global_scores, local_scores = class_scores.tensor_split([len(global_crops)])
        patch_scores = self.ibot_head(seen.patches.flatten(1, 2)[masks])
        return StudentOutput(seen.cls, seen.patches, global_scores, local_scores, patch_scores)


class DinoV2(nn.Module):
    """Student, teacher (same initial weights, never trained by gradient) and the normalisation."""

    def __init__(
        self,
        vit: ViTConfig,
        head: HeadConfig,
        weights: LossWeights,
        *,
        mean: float,
        std: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.weights = weights
        self.mean, self.std = mean, std
        self.student = Network(vit, head).initialise(generator)
        self.teacher = Network(vit, head).requires_grad_(False)
        self.teacher.load_state_dict(self.student.state_dict())

    def losses(self, batch: Batch, teacher_temperature: float) -> dict[str, Tensor]:
        """The weighted terms, their sum as ``loss``, and the teacher's mean target entropy in nats."""
        global_crops = (batch.global_crops - self.mean) / self.std
        local_crops = (batch.local_crops - self.mean) / self.std
        masks = batch.masks
        n_films = len(global_crops) // 2
        targets = self._targets(global_crops, masks, teacher_temperature)

        seen = self.student(global_crops, masks, local_crops)
        dino_global, dino_local = dino_loss(
            targets.cls, seen.global_scores.unflatten(0, (2, n_films)), seen.local_scores.unflatten(0, (-1, n_films))
        )
        masked_per_crop = masks.sum(dim=1)
        patch_weights = (1.0 / masked_per_crop.clamp_min(1))[:, None].expand_as(masks)[masks]
        # DINOv2's code scales by 2 global crops and divides by 2 of them: the factor is 1.
        ibot = ibot_loss(targets.patches, seen.patch_scores, patch_weights, n_images=len(masks))

        koleo = sum((koleo_loss(cls) for cls in seen.cls.chunk(2)), torch.zeros((), device=masks.device))
        terms = {
            "dino_global": self.weights.dino * dino_global,
            "dino_local": self.weights.dino * dino_local,
            "ibot": self.weights.ibot * ibot,
            "koleo": self.weights.koleo * koleo,
        }
        entropy = torch.special.entr(targets.cls).sum(dim=-1).mean()
        return {"loss": sum(terms.values(), torch.zeros_like(koleo)), **terms, "teacher_entropy": entropy}

    @torch.no_grad()
    def _targets(self, global_crops: Tensor, masks: Tensor, temperature: float) -> Targets:
        tokens = self.teacher.backbone(global_crops)
        cls = sinkhorn_knopp(self.teacher.dino_head(tokens.cls), temperature)
        patches = self.teacher.ibot_head(tokens.patches.flatten(1, 2)[masks])
        patches = sinkhorn_knopp(patches, temperature) if len(patches) else patches.float()
        return Targets(cls.unflatten(0, (2, -1)), patches)

    def update_teacher(self, momentum: float) -> None:
        """Move the teacher towards the student."""
        update_teacher(self.teacher, self.student, momentum)
