"""Our ViT in the file layout of Hugging Face's ``Dinov2Model`` and ``Dinov2WithRegistersModel``.

Pure functions between names and tensors; transformers itself is not imported. The two layouts hold
the same numbers: theirs keeps query, key and value apart, ours fuses them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raydino.errors import UserError
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
_MODELS = {"dinov2": ("Dinov2Model", "size"), "dinov2_with_registers": ("Dinov2WithRegistersModel", "antialias")}
_FIXED = {"hidden_act": "gelu", "qkv_bias": True, "layer_norm_eps": 1e-6}  # what our ViT cannot do otherwise


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
    model_type = "dinov2_with_registers" if config.n_registers else "dinov2"
    ratio = config.mlp_ratio
    values: dict[str, Any] = {
        "architectures": [_MODELS[model_type][0]],
        "model_type": model_type,
        "dtype": "float32",
        "hidden_size": config.embed_dim,
        "image_size": config.image_size,
        "layerscale_value": config.layerscale_init,
        "mlp_ratio": int(ratio) if ratio == int(ratio) else ratio,
        "num_attention_heads": config.n_heads,
        "num_channels": config.channels,
        "num_hidden_layers": config.depth,
        "patch_size": config.patch_size,
        "use_swiglu_ffn": config.ffn == "swiglu",
        **_FIXED,
    }
    if config.n_registers:
        values["num_register_tokens"] = config.n_registers
    return values


def unwrap_hf(state: dict[str, Tensor], values: dict[str, Any]) -> dict[str, Tensor]:
    """The bare model out of one with a head on top; a mask token that ``config.json`` leaves out is zero."""
    prefix = f"{values.get('model_type')}."
    bare = {name.removeprefix(prefix): t for name, t in state.items() if not name.startswith("classifier.")}
    if values.get("use_mask_token") is False and _OUTER["cls_token"] in bare:
        bare[_OUTER["mask_token"]] = torch.zeros(1, bare[_OUTER["cls_token"]].shape[-1])
    return bare


def hf_sizes(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of ``ViTConfig`` from a ``config.json``; what it leaves out is transformers' default.

    Raises UserError for another architecture, or for a Dinov2 that our ViT cannot be.
    """
    model_type = values.get("model_type")
    if model_type not in _MODELS:
        raise UserError(f"its model_type is {model_type!r}", remedy=f"one of {', '.join(_MODELS)} can be imported")
    for name, wanted in _FIXED.items():
        if values.get(name, wanted) != wanted:
            raise UserError(f"its {name} is {values[name]!r}", remedy=f"only models with {wanted!r} can be imported")
    n_registers = values.get("num_register_tokens", 4) if model_type == "dinov2_with_registers" else 0
    return {
        "image_size": _side(values, "image_size", 224),
        "patch_size": _side(values, "patch_size", 16 if n_registers else 14),
        "embed_dim": values.get("hidden_size", 768),
        "depth": values.get("num_hidden_layers", 12),
        "n_heads": values.get("num_attention_heads", 12),
        "mlp_ratio": values.get("mlp_ratio", 4),
        "ffn": "swiglu" if values.get("use_swiglu_ffn") else "mlp",
        "n_registers": n_registers,
        "layerscale_init": values.get("layerscale_value", 1.0),
        "channels": values.get("num_channels", 3),
        "position_resize": _MODELS[model_type][1],
    }


def _side(values: dict[str, Any], name: str, default: int) -> Any:
    value = values.get(name, default)
    if isinstance(value, list) and len(set(value)) == 1:
        return value[0]
    return value
