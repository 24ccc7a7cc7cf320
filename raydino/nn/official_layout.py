"""Our ViT in the layout of the official DINOv2 code, from whose tensors the sizes are read.

It covers the released models with and without registers, ``xray_dino_vitl16`` (ViT-L/16 at 512, no registers,
4 chunks) and the teacher in a training checkpoint. What differs between these files:

- ``blocks.3.…``, or in chunks ``blocks.0.3.…``; the second number counts through, the chunk adds nothing;
- ``module.``, ``teacher.`` and ``backbone.`` before all names, with heads and a student beside the teacher;
- ``mlp.fc1`` and ``mlp.fc2``, or with SwiGLU ``mlp.w12`` (gate and value in one, as ours) and ``mlp.w3``.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor

from raydino.errors import UserError
from raydino.nn.sizes import HEAD_DIM
from raydino.nn.vit import ViTConfig

_CONTAINERS = ("teacher", "model", "state_dict")  # keys of a training checkpoint that hold the network
_NOT_THE_BACKBONE = re.compile(r"(^|\.)(dino_head|ibot_head|dino_loss|ibot_patch_loss|student)\.")
_WRAPPING = re.compile(r"^(module\.|teacher\.|backbone\.|_orig_mod\.)+")
_BLOCK = re.compile(r"^blocks\.(?:\d+\.)?(\d+)\.(?=\D)")
_RENAMED = {
    "patch_embed.": "patch_embed.proj.",
    "ffn.fc1.": "mlp.fc1.",
    "ffn.fc2.": "mlp.fc2.",
    "ffn.w_in.": "mlp.w12.",
    "ffn.w_out.": "mlp.w3.",
}


def unwrap_official(checkpoint: object) -> dict[str, Tensor]:
    """The backbone's tensors by their bare names, out of whatever a training checkpoint wraps them in."""
    while isinstance(checkpoint, dict) and not any(isinstance(value, Tensor) for value in checkpoint.values()):
        inner = next((key for key in _CONTAINERS if isinstance(checkpoint.get(key), dict)), None)
        if inner is None:
            return {}
        checkpoint = checkpoint[inner]
    if not isinstance(checkpoint, dict):
        return {}
    bare: dict[str, Tensor] = {}
    for name, value in checkpoint.items():
        if isinstance(value, Tensor) and not _NOT_THE_BACKBONE.search(str(name)):
            bare[_BLOCK.sub(r"blocks.\1.", _WRAPPING.sub("", str(name)))] = value
    return bare


def to_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under the official bare names. Register tokens of width 0 are left out."""
    names = {name: name for name in state if state[name].numel()}
    for ours, theirs in _RENAMED.items():
        names |= {name: name.replace(ours, theirs) for name in names if _stem(name).startswith(ours)}
    return {theirs: state[ours] for ours, theirs in names.items()}


def from_official(state: dict[str, Tensor], config: ViTConfig) -> dict[str, Tensor]:
    """The inverse of ``to_official``."""
    names = {name: name for name in state}
    for ours, theirs in _RENAMED.items():
        names |= {name: name.replace(theirs, ours) for name in names if _stem(name).startswith(theirs)}
    renamed = {ours: state[theirs] for theirs, ours in names.items()}
    if not config.n_registers:
        renamed["register_tokens"] = torch.zeros(1, 0, config.embed_dim)
    return renamed


def official_sizes(state: dict[str, Tensor]) -> dict[str, Any]:
    """Fields of ``ViTConfig`` read from the tensors of ``unwrap_official``.

    Models without registers resize their positions by ``offset``, the others by ``antialias``, as the official
    code is told to. Raises UserError for tensors that are no ViT of DINOv2.
    """
    dim = _shape(state, "cls_token", 3)[2]
    n_positions = _shape(state, "pos_embed", 3)[1]
    _, channels, patch_size, _ = _shape(state, "patch_embed.proj.weight", 4)
    blocks = {int(found[1]) for found in map(_BLOCK.match, state) if found}
    side = math.isqrt(max(n_positions - 1, 0))
    if blocks != set(range(len(blocks))) or not blocks:
        raise UserError(f"its blocks are not numbered from 0 on (found {len(blocks)} of them)")
    if dim % HEAD_DIM:
        raise UserError(f"its width {dim} is no multiple of {HEAD_DIM}, the width of a head in every ViT of DINOv2")
    if side**2 + 1 != n_positions:
        raise UserError(f"its {n_positions} position embeddings are not one for CLS and a square of patches")
    n_registers = _shape(state, "register_tokens", 3)[1] if "register_tokens" in state else 0
    return _feed_forward(state, dim) | {
        "image_size": side * patch_size,
        "patch_size": patch_size,
        "embed_dim": dim,
        "depth": len(blocks),
        "n_heads": dim // HEAD_DIM,
        "n_registers": n_registers,
        "layerscale_init": 1.0,
        "channels": channels,
        "position_resize": "antialias" if n_registers else "offset",
    }


def _stem(name: str) -> str:
    return _BLOCK.sub("", name)


def _shape(state: dict[str, Tensor], name: str, ndim: int) -> torch.Size:
    if name not in state:
        raise UserError(f"holds no tensor {name!r}, so it is no ViT of DINOv2")
    if state[name].ndim != ndim:
        raise UserError(f"its {name!r} has the shape {list(state[name].shape)}, so it is no ViT of DINOv2")
    return state[name].shape


def _feed_forward(state: dict[str, Tensor], dim: int) -> dict[str, Any]:
    """Its kind and ``mlp_ratio``; SwiGLU is two thirds as wide as the MLP, rounded up to 8 (nn.block)."""
    if "blocks.0.mlp.fc1.weight" in state:
        return {"ffn": "mlp", "mlp_ratio": state["blocks.0.mlp.fc1.weight"].shape[0] / dim}
    width = _shape(state, "blocks.0.mlp.w12.weight", 2)[0] // 2
    usual = (int(4 * dim * 2 / 3) + 7) // 8 * 8
    return {"ffn": "swiglu", "mlp_ratio": 4.0 if width == usual else width * 1.5 / dim}
