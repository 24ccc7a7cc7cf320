"""UPerNet on the tokens of several blocks: coarse context and fine detail meet (Xiao 2018, 1807.10221).

A ViT has one resolution, so its blocks' tokens are first resized to a pyramid of four levels, 4, 2, 1 and 1/2
times the grid of patches, shallow blocks to the fine levels. Then as in the paper: pyramid pooling (PSPNet,
1612.01105) on the coarsest level, the top-down sums of a feature pyramid network (1612.03144), and one convolution
over all levels at the finest. Tokens are brought to ``width`` channels before anything is resized, which keeps the
head light. Norms are group norms (1803.08494): they do not see the batch, however small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.segmentation.base import SegmentationAdapter, SegmentationConfig, SegmentationRecipe
from raydino.encoder import Blocks, EncoderSpec

LEVELS = 4
POOLS = (1, 2, 3, 6)  # cells along a side, as in both papers
CHANNELS_A_GROUP = 16


class UPerNetRecipe(SegmentationRecipe):
    """``width``: channels of every level; ``dropout``: of whole channels, before the last layer.

    Of four ``blocks`` each level gets one, of two each two levels, and one block feeds all levels.
    """

    width: int = Field(gt=0, multiple_of=CHANNELS_A_GROUP)
    dropout: float = Field(ge=0, lt=1)

    @field_validator("blocks")
    @classmethod
    def _divide_the_levels(cls, blocks: Blocks) -> Blocks:
        if LEVELS % len(blocks):
            raise ValueError(
                f"the pyramid has {LEVELS} levels, so 1, 2 or 4 blocks are needed; these are {len(blocks)}"
            )
        return blocks


class UPerNetConfig(SegmentationConfig):
    """``kind: segmentation_upernet``."""

    kind: Literal["segmentation_upernet"]
    recipe: UPerNetRecipe


class UPerNetSegmenter(SegmentationAdapter):
    """Logits at four times the grid of patches."""

    config_model: ClassVar[type[AdapterConfig]] = UPerNetConfig
    config: UPerNetConfig

    def __init__(self, config: UPerNetConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        width = config.recipe.width
        self.laterals = nn.ModuleList(
            nn.Sequential(_convolution(spec.embed_dim, width, 1), resize)
            for resize in (
                nn.Sequential(_doubled(width), nn.GroupNorm(_groups(width), width), nn.GELU(), _doubled(width)),
                _doubled(width),
                nn.Identity(),
                nn.MaxPool2d(2, ceil_mode=True),
            )
        )
        self.pooled = nn.ModuleList(_convolution(width, width, 1) for _ in POOLS)
        self.context = _convolution((1 + len(POOLS)) * width, width, 3)
        self.smooth = nn.ModuleList(_convolution(width, width, 3) for _ in range(LEVELS - 1))
        self.fuse = _convolution(LEVELS * width, width, 3)
        self.head = nn.Sequential(nn.Dropout2d(config.recipe.dropout), nn.Conv2d(width, len(labels), 1))

    def low_logits(self, patches: Tensor) -> Tensor:
        blocks = patches.split(self.spec.embed_dim, dim=1)
        levels = [lateral(blocks[i * len(blocks) // LEVELS]) for i, lateral in enumerate(self.laterals)]
        levels[-1] = self._with_context(levels[-1])
        for i in reversed(range(LEVELS - 1)):
            levels[i] = levels[i] + _resized(levels[i + 1], levels[i])
        smooth = [conv(level) for conv, level in zip(self.smooth, levels, strict=False)]
        together = [_resized(level, levels[0]) for level in (*smooth, levels[-1])]
        return self.head(self.fuse(torch.cat(together, dim=1)))

    def _with_context(self, coarsest: Tensor) -> Tensor:
        """Means over 1, 2², 3² and 6² cells of the film beside each place of the coarsest level."""
        cells = [
            _resized(conv(F.adaptive_avg_pool2d(coarsest, n)), coarsest)
            for n, conv in zip(POOLS, self.pooled, strict=True)
        ]
        return self.context(torch.cat([coarsest, *cells], dim=1))


def _convolution(inputs: int, outputs: int, size: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(_groups(outputs), outputs), nn.GELU())


def _doubled(width: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(width, width, 2, stride=2)


def _groups(width: int) -> int:
    return width // CHANNELS_A_GROUP


def _resized(level: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(level, size=like.shape[-2:], mode="bilinear", align_corners=False)
