"""What a vision transformer looks at, and how it parts a film: pure functions from images to maps.

``class_attention`` is DINO's picture (2104.14294, Figure 1): where the class token looks in the last block.
``patch_colours`` is DINOv2's (2304.07193, Figure 1): the first three principal components of patch tokens as RGB.
"""

from __future__ import annotations

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
    seen: list[Tensor] = []
    attention = vit.blocks[-1].attn
    assert isinstance(attention, SelfAttention)
    handle = attention.qkv.register_forward_hook(lambda module, inputs, output: seen.append(output))
    try:
        patches = vit(images).patches
    finally:
        handle.remove()
    (qkv,) = seen
    B, T, _ = qkv.shape
    query, key, _ = qkv.float().view(B, T, 3, attention.n_heads, -1).permute(2, 0, 3, 1, 4)
    scores = query[:, :, :1] @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    weights = scores.softmax(dim=-1)[:, :, 0]
    return weights[..., 1 + vit.config.n_registers :].unflatten(-1, patches.shape[1:3])


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
