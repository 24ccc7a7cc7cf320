"""A small convolutional segmentation head: it sees a patch's neighbours and draws finer than a patch.

Batch norm, a 3×3 convolution to ``width`` channels, GELU, then a 3×3 convolution to ``detail``² logits a
patch and structure, laid out as pixels (sub-pixel convolution, 1609.05158).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.segmentation.base import SegmentationAdapter, SegmentationConfig, SegmentationRecipe
from raydino.encoder import EncoderSpec


class ConvRecipe(SegmentationRecipe):
    """``width``: channels between the convolutions; ``detail``: logits along one side of a patch."""

    width: int = Field(gt=0)
    detail: int = Field(gt=0)


class ConvConfig(SegmentationConfig):
    """``kind: segmentation_conv``."""

    kind: Literal["segmentation_conv"]
    recipe: ConvRecipe


class ConvSegmenter(SegmentationAdapter):
    """``detail``² logits a patch and structure."""

    config_model: ClassVar[type[AdapterConfig]] = ConvConfig
    config: ConvConfig

    def __init__(self, config: ConvConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        width, detail = config.recipe.width, config.recipe.detail
        self.head = nn.Sequential(
            nn.BatchNorm2d(self.width),
            nn.Conv2d(self.width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, len(labels) * detail**2, 3, padding=1),
            nn.PixelShuffle(detail),
        )

    def low_logits(self, patches: Tensor) -> Tensor:
        return self.head(patches)
