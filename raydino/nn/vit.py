"""The vision transformer of DINOv2, for films of one channel or three.

Token order: CLS, registers, patches (row by row). Position embeddings belong to CLS and patches;
at another resolution than ``image_size`` those of the patches are resized (``nn.positions``).
Papers: DINOv2 (2304.07193), registers (2309.16588).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from raydino.config import Config
from raydino.errors import UserError
from raydino.nn.attention import choose
from raydino.nn.block import Block, FeedForwardKind, SelfAttention
from raydino.nn.packing import pack, unpack
from raydino.nn.positions import PositionResize, resize_positions


class ViTConfig(Config):
    """Sizes of a ViT. ``image_size`` is the side in pixels that the position embeddings are made for.

    ``position_resize`` says how they are resized to another; left out, it is as in transformers:
    ``antialias`` with registers, ``size`` without. ``nn.sizes`` has the published sizes.
    """

    image_size: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    embed_dim: int = Field(gt=0)
    depth: int = Field(gt=0)
    n_heads: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    ffn: FeedForwardKind = "mlp"
    n_registers: int = Field(default=0, ge=0)
    layerscale_init: float = Field(default=1e-5, gt=0)
    channels: int = Field(default=1, gt=0)
    position_resize: PositionResize | None = None

    @model_validator(mode="after")
    def _fits(self) -> ViTConfig:
        if self.image_size % self.patch_size:
            raise ValueError(f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}")
        if self.embed_dim % self.n_heads:
            raise ValueError(f"embed_dim {self.embed_dim} is not a multiple of n_heads {self.n_heads}")
        return self


class Tokens(NamedTuple):
    """Tokens after the last norm: cls [B, D], registers [B, R, D], patches [B, h, w, D]."""

    cls: Tensor
    registers: Tensor
    patches: Tensor


class VisionTransformer(nn.Module):
    """``images`` f32 [B, channels, H, W], H and W multiples of ``patch_size`` → ``Tokens``."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        dim, side = config.embed_dim, config.image_size // config.patch_size
        self.patch_embed = nn.Conv2d(config.channels, dim, config.patch_size, stride=config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_tokens = nn.Parameter(torch.zeros(1, config.n_registers, dim))
        self.mask_token = nn.Parameter(torch.zeros(1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, dim))
        self.blocks = nn.ModuleList(
            Block(dim, config.n_heads, config.mlp_ratio, config.ffn, config.layerscale_init)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def initialise(self, generator: torch.Generator) -> VisionTransformer:
        """Truncated normal weights (std 0.02) drawn from ``generator``, zero biases; returns self."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.pos_embed, std=0.02, generator=generator)
        nn.init.normal_(self.cls_token, std=1e-6, generator=generator)
        nn.init.normal_(self.register_tokens, std=1e-6, generator=generator)
        return self

    def use_attention(self, name: str, device: torch.device) -> None:
        """Exchange the attention backend of every block."""
        backend = choose(name, device)
        for module in self.modules():
            if isinstance(module, SelfAttention):
                module.backend = backend

    def forward(self, images: Tensor, masks_BN: Tensor | None = None) -> Tokens:
        """``masks_BN`` bool, one value a patch: True patches are replaced by the mask token (iBOT)."""
        tokens, grid = self.embed(images, masks_BN)
        for block in self.blocks:
            tokens = block(tokens)
        return self.split(self.norm(tokens), grid)

    def intermediate(self, images: Tensor, blocks: Sequence[int]) -> list[Tokens]:
        """Tokens after each of ``blocks`` (counted from 0) and the last norm, in the order asked for.

        The last block's are those of ``forward``. Raises UserError for a block that is not there.
        """
        missing = [block for block in blocks if not 0 <= block < len(self.blocks)]
        if missing:
            raise UserError(f"no block {missing[0]}", remedy=f"blocks are counted from 0 to {len(self.blocks) - 1}")
        tokens, grid = self.embed(images)
        found: dict[int, Tokens] = {}
        for index, block in enumerate(self.blocks[: max(blocks, default=-1) + 1]):
            tokens = block(tokens)
            if index in blocks:
                found[index] = self.split(self.norm(tokens), grid)
        return [found[block] for block in blocks]

    def forward_groups(self, groups: Sequence[tuple[Tensor, Tensor | None]]) -> list[Tokens]:
        """``forward`` of each (images, masks), crops of different sizes.

        On a GPU in one pass over the packed tokens of all: fewer and larger kernels. On a CPU group after group:
        the activations of one are nearer to the cache's size (4 % of a step, docs/performance.md).
        """
        if self.cls_token.device.type == "cpu":
            return [self(images, masks) for images, masks in groups]
        return self.forward_packed(groups)

    def forward_packed(self, groups: Sequence[tuple[Tensor, Tensor | None]]) -> list[Tokens]:
        """``forward_groups`` in one pass, on any device."""
        embedded = [self.embed(images, masks) for images, masks in groups]
        tokens, layout = pack([tokens for tokens, _ in embedded])
        for block in self.blocks:
            tokens = block(tokens, layout)
        parts = unpack(self.norm(tokens), layout)
        return [self.split(part, grid) for part, (_, grid) in zip(parts, embedded, strict=True)]

    def embed(self, images: Tensor, masks_BN: Tensor | None = None) -> tuple[Tensor, tuple[int, int]]:
        """Tokens before the first block, [B, 1 + R + h·w, D], and the grid (h, w) of the patches."""
        B, _, H, W = images.shape
        grid = (H // self.config.patch_size, W // self.config.patch_size)
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)
        if masks_BN is not None:
            patches = torch.where(masks_BN.unsqueeze(-1), self.mask_token.to(patches.dtype), patches)
        tokens = torch.cat([self.cls_token.expand(B, -1, -1).to(patches.dtype), patches], dim=1)
        tokens = tokens + self.positions(grid)
        registers = self.register_tokens.expand(B, -1, -1).to(tokens.dtype)
        return torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1), grid

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Position embeddings of CLS and of a grid (h, w) of patches, [1, 1 + h·w, D]."""
        how = self.config.position_resize or ("antialias" if self.config.n_registers else "size")
        return resize_positions(self.pos_embed, grid, how)

    def split(self, tokens: Tensor, grid: tuple[int, int]) -> Tokens:
        """[B, 1 + R + h·w, D] by kind."""
        first_patch = 1 + self.config.n_registers
        return Tokens(tokens[:, 0], tokens[:, 1:first_patch], tokens[:, first_patch:].unflatten(1, grid))
