"""Our ViT in the file layout of Hugging Face's ``Dinov2Model`` and ``Dinov2WithRegistersModel``.

Pure functions between names and tensors; transformers itself is not imported. The two layouts hold
the same numbers: theirs keeps query, key and value apart, ours fuses them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raydino.nn.vit import ViTConfig

_OUTER = {
    "cls_token": "embeddings.cls_token",
    "mask_token": "embeddings.mask_token",
    "pos_embed": "embeddings.position_embeddings",
    "register_tokens": "embeddings.register_tokens",
    "patch_embed.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
_INNER = {
    "attn.proj": "attention.output.dense",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
    "ffn.fc1": "mlp.fc1",
    "ffn.fc2": "mlp.fc2",
    "ffn.w_in": "mlp.weights_in",
    "ffn.w_out": "mlp.weights_out",
    "norm1": "norm1",
    "norm2": "norm2",
}
_QKV = ("query", "key", "value")


def to_hf(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under Hugging Face's names. Register tokens of width 0 are left out."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name in _OUTER:
            if tensor.numel():
                renamed[_OUTER[name]] = tensor.contiguous()
            continue
        _, layer, rest = name.split(".", 2)
        if rest.startswith("attn.qkv."):
            kind = rest.removeprefix("attn.qkv.")
            for part, piece in zip(_QKV, tensor.chunk(3), strict=True):
                renamed[f"encoder.layer.{layer}.attention.attention.{part}.{kind}"] = piece.contiguous()
            continue
        stem = next(ours for ours in _INNER if rest == ours or rest.startswith(f"{ours}."))
        renamed[f"encoder.layer.{layer}.{_INNER[stem]}{rest.removeprefix(stem)}"] = tensor.contiguous()
    return renamed


def from_hf(state: dict[str, Tensor], config: ViTConfig) -> dict[str, Tensor]:
    """The inverse of ``to_hf``. Raises KeyError naming a tensor that is not there."""
    renamed = {ours: state[theirs] for ours, theirs in _OUTER.items() if ours != "register_tokens"}
    renamed["register_tokens"] = (
        state[_OUTER["register_tokens"]] if config.n_registers else torch.zeros(1, 0, config.embed_dim)
    )
    ffn = ("ffn.w_in", "ffn.w_out") if config.ffn == "swiglu" else ("ffn.fc1", "ffn.fc2")
    for layer in range(config.depth):
        ours, theirs = f"blocks.{layer}.", f"encoder.layer.{layer}."
        for kind in ("weight", "bias"):
            parts = [state[f"{theirs}attention.attention.{part}.{kind}"] for part in _QKV]
            renamed[f"{ours}attn.qkv.{kind}"] = torch.cat(parts)
            for stem in ("attn.proj", "norm1", "norm2", *ffn):
                renamed[f"{ours}{stem}.{kind}"] = state[f"{theirs}{_INNER[stem]}.{kind}"]
        for stem in ("ls1.gamma", "ls2.gamma"):
            renamed[f"{ours}{stem}"] = state[f"{theirs}{_INNER[stem]}"]
    return renamed


def hf_config(config: ViTConfig) -> dict[str, Any]:
    """``config.json`` for ``transformers.AutoModel.from_pretrained``."""
    model_type, name = ("dinov2", "Dinov2Model")
    if config.n_registers:
        model_type, name = ("dinov2_with_registers", "Dinov2WithRegistersModel")
    ratio = config.mlp_ratio
    values: dict[str, Any] = {
        "architectures": [name],
        "model_type": model_type,
        "dtype": "float32",
        "hidden_act": "gelu",
        "hidden_size": config.embed_dim,
        "image_size": config.image_size,
        "layer_norm_eps": 1e-6,
        "layerscale_value": config.layerscale_init,
        "mlp_ratio": int(ratio) if ratio == int(ratio) else ratio,
        "num_attention_heads": config.n_heads,
        "num_channels": config.channels,
        "num_hidden_layers": config.depth,
        "patch_size": config.patch_size,
        "qkv_bias": True,
        "use_swiglu_ffn": config.ffn == "swiglu",
    }
    if config.n_registers:
        values["num_register_tokens"] = config.n_registers
    return values
