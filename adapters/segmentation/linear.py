"""The linear segmentation head of DINOv2 (2304.07193, 7.4): batch norm and one 1×1 convolution on patch tokens.

With ``blocks: [-4, -3, -2, -1]`` it sees the tokens of the last four blocks side by side, as in the paper's +ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.segmentation.base import SegmentationAdapter, SegmentationConfig
from raydino.encoder import EncoderSpec


class LinearConfig(SegmentationConfig):
    """``kind: segmentation_linear``."""

    kind: Literal["segmentation_linear"]


class LinearSegmenter(SegmentationAdapter):
    """One logit a patch and structure; the film's detail below a patch is bilinear."""

    config_model: ClassVar[type[AdapterConfig]] = LinearConfig
    config: LinearConfig

    def __init__(self, config: LinearConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        self.head = nn.Sequential(nn.BatchNorm2d(self.width), nn.Conv2d(self.width, len(labels), 1))

    def low_logits(self, patches: Tensor) -> Tensor:
        return self.head(patches)
