"""What a vision transformer looks at, and how it parts a film: pure functions from images to maps.

``class_attention`` is DINO's picture (2104.14294, Figure 1): where the class token looks in the last block.
``attention_rollout`` follows the class token's looks down through all blocks (2005.00928).
``patch_colours`` is DINOv2's (2304.07193, Figure 1): the first three principal components of patch tokens as RGB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raydino.nn.block import SelfAttention
from raydino.nn.vit import VisionTransformer

Array = npt.NDArray[np.floating]


@torch.no_grad()
def class_attention(vit: VisionTransformer, images: Tensor) -> Tensor:
    """Softmax weights of the class token on the patches, in the last block: [B, heads, h, w], float32.

    Query and key are read where the block makes them, whatever backend then mixes them. Weights on the class token
    itself and on registers are left out, so a map sums to less than 1.
    """
    every, grid = _attention(vit, images, [len(vit.blocks) - 1])
    (weights,) = every
    return weights[:, :, 0, 1 + vit.config.n_registers :].unflatten(-1, grid)


@torch.no_grad()
def attention_rollout(vit: VisionTransformer, images: Tensor) -> Tensor:
    """How much of the class token comes from each patch, [B, h, w], float32 (Abnar & Zuidema, 2005.00928).

    In each block a token is half itself (the residual connection) and half what its heads look at on average; the
    blocks' matrices are multiplied. What comes from class token and registers is left out, so a map sums to less
    than 1. It says where information could flow, not what the network made of it.
    """
    every, grid = _attention(vit, images, range(len(vit.blocks)))
    flow = None
    for weights in every:
        mixed = 0.5 * weights.mean(dim=1) + 0.5 * torch.eye(weights.shape[-1], device=weights.device)
        flow = mixed if flow is None else mixed @ flow
    assert flow is not None
    return flow[:, 0, 1 + vit.config.n_registers :].unflatten(-1, grid)


def _attention(
    vit: VisionTransformer, images: Tensor, blocks: Sequence[int]
) -> tuple[Iterator[Tensor], tuple[int, int]]:
    """Softmax weights [B, heads, T, T] of each of ``blocks``, one at a time, and the grid of the patches."""
    seen: list[Tensor] = []
    handles = []
    for block in blocks:
        attention = vit.blocks[block].attn
        assert isinstance(attention, SelfAttention)
        handles.append(attention.qkv.register_forward_hook(lambda module, inputs, output: seen.append(output)))
    try:
        patches = vit(images).patches
    finally:
        for handle in handles:
            handle.remove()
    weights = (_softmax_weights(qkv, vit.config.n_heads) for qkv in seen)
    return weights, (patches.shape[1], patches.shape[2])


def _softmax_weights(qkv: Tensor, n_heads: int) -> Tensor:
    B, T, _ = qkv.shape
    query, key, _ = qkv.float().view(B, T, 3, n_heads, -1).permute(2, 0, 3, 1, 4)
    return (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(dim=-1)


def patch_colours(patches_BhwD: Array, likeness_Bhw: Array) -> Array:
    """Three principal components of all patches together as RGB in 0..1, [B, h, w, 3].

    Each component is stretched from its 2nd to its 98th percentile. Its sign is free, so it is taken so that it
    rises with ``likeness`` (the patches' brightness): else colours would flip from one refresh to the next.
    """
    B, h, w, D = patches_BhwD.shape
    tokens = np.asarray(patches_BhwD, np.float64).reshape(-1, D)
    tokens = tokens - tokens.mean(axis=0)
    _, directions = np.linalg.eigh(tokens.T @ tokens)  # ascending
    components = tokens @ directions[:, ::-1][:, :3]
    brightness = np.asarray(likeness_Bhw, np.float64).ravel()
    signs = np.sign(components.T @ (brightness - brightness.mean()))
    components = components * np.where(signs == 0, 1, signs)
    low, high = np.percentile(components, [2, 98], axis=0)
    scaled = (components - low) / np.maximum(high - low, 1e-12)
    padded = np.zeros((len(tokens), 3))
    padded[:, : scaled.shape[1]] = scaled.clip(0, 1)
    return padded.reshape(B, h, w, 3)
