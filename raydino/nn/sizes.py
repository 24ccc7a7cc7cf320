"""The published sizes of vision transformers (DINOv2 2304.07193, table 17; ViT-Ti as in DeiT, 2012.12877).

A head is 64 wide in each, so a checkpoint's width gives its number of heads. The paper's table says 18
blocks for the distilled ViT-B; the code and the released weights have 12, and so has this table.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from raydino.nn.block import FeedForwardKind
from raydino.nn.vit import ViTConfig

HEAD_DIM = 64
Size = Literal["ti", "s", "b", "l", "g"]


class Shape(NamedTuple):
    """Width, blocks, heads, and the feed-forward of the released model."""

    embed_dim: int
    depth: int
    n_heads: int
    ffn: FeedForwardKind = "mlp"


SIZES: dict[Size, Shape] = {
    "ti": Shape(192, 12, 3),
    "s": Shape(384, 12, 6),
    "b": Shape(768, 12, 12),
    "l": Shape(1024, 24, 16),
    "g": Shape(1536, 40, 24, "swiglu"),
}


def vit_config(size: Size, *, patch_size: int, image_size: int, **changes: Any) -> ViTConfig:
    """The config of a published size; ``changes`` are further fields of ``ViTConfig``, or others than the table's.

    >>> vit_config("l", patch_size=16, image_size=512).depth
    24
    """
    shape = SIZES[size]._asdict()
    return ViTConfig(patch_size=patch_size, image_size=image_size, **{**shape, **changes})


def name_of(config: ViTConfig) -> str:
    """``ViT-L/16``, or the measures of a size that was not published."""
    for size, shape in SIZES.items():
        if (config.embed_dim, config.depth, config.n_heads) == shape[:3]:
            return f"ViT-{size if size == 'g' else size.capitalize()}/{config.patch_size}"
    return f"ViT/{config.patch_size} of width {config.embed_dim} and {config.depth} blocks"
