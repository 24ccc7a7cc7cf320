"""A backbone with its two heads: the student is one, its teacher another (DINOv2 2304.07193 §4, untied heads)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from raydino.config import Config
from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.ssl.heads import ProjectionHead


class HeadConfig(Config):
    """Sizes of a projection head."""

    hidden_dim: int = Field(default=2048, gt=0)
    bottleneck_dim: int = Field(default=256, gt=0)
    n_prototypes: int = Field(default=65536, gt=1)


class NetworkOutput(NamedTuple):
    """What a network says of the 2B global and L·B local crops of B films.

    cls [2B, D] and patches [2B, h, w, D] of the global crops before the heads; prototype scores of the globals'
    class tokens [2B, K], of the locals' [L·B, K] and of the M scored patches [M, K'].
    """

    cls: Tensor
    patches: Tensor
    global_scores: Tensor
    local_scores: Tensor
    patch_scores: Tensor


class Network(nn.Module):
    """``dino_head`` scores class tokens, ``ibot_head`` patches; their sizes may differ.

    ``forward`` is a whole pass, so that a wrapper for several processes sees one call.
    """

    def __init__(self, vit: ViTConfig, head: HeadConfig, ibot_head: HeadConfig | None = None) -> None:
        super().__init__()
        self.head_configs = {"dino_head": head, "ibot_head": ibot_head or head}
        self.backbone = VisionTransformer(vit)
        self.dino_head = ProjectionHead(vit.embed_dim, **self.head_configs["dino_head"].model_dump())
        self.ibot_head = ProjectionHead(vit.embed_dim, **self.head_configs["ibot_head"].model_dump())

    def initialise(self, generator: torch.Generator) -> Network:
        """Draw all weights from ``generator``; returns self."""
        self.backbone.initialise(generator)
        self.dino_head.initialise(generator)
        self.ibot_head.initialise(generator)
        return self

    def twin(self) -> Network:
        """A second network with the same weights, which no gradient trains."""
        made = Network(self.backbone.config, self.head_configs["dino_head"], self.head_configs["ibot_head"])
        made.load_state_dict(self.state_dict())
        return made.requires_grad_(False)

    def forward(
        self, global_crops: Tensor, hidden: Tensor | None, scored: Tensor, local_crops: Tensor | None
    ) -> NetworkOutput:
        """Normalised crops; bool [2B, N] over the globals' patches.

        ``hidden`` patches are replaced by the mask token (None: none of them), ``scored`` ones go through the
        iBOT head. The student hides and scores the masked ones; a teacher hides none.
        """
        groups: list[tuple[Tensor, Tensor | None]] = [(global_crops, hidden)]
        if local_crops is not None and len(local_crops):
            groups.append((local_crops, None))
        seen, *rest = self.backbone.forward_groups(groups)
        class_scores = self.dino_head(torch.cat([tokens.cls for tokens in (seen, *rest)]))
        global_scores, local_scores = class_scores.tensor_split([len(global_crops)])
        patch_scores = self.ibot_head(seen.patches.flatten(1, 2)[scored])
        return NetworkOutput(seen.cls, seen.patches, global_scores, local_scores, patch_scores)
