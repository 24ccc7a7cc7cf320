"""Random models of transformers, and the official layout written from them by a renaming of its own.

The renaming goes out from the names that transformers has in memory, so that it shares nothing with
``raydino.nn.hf_layout`` and ``raydino.nn.official_layout``.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

WIDTHS = {"ti": (192, 3), "s": (384, 6), "b": (768, 12), "l": (1024, 16), "g": (1536, 24)}
Model = Dinov2Model | Dinov2WithRegistersModel


@pytest.fixture
def random_dinov2() -> Callable[..., Model]:
    return make_random_dinov2


@pytest.fixture
def official_layout() -> Callable[..., dict[str, Tensor]]:
    return write_official_layout


def make_random_dinov2(
    size: str = "ti", *, depth: int = 2, n_registers: int = 0, patch_size: int = 14, image_size: int = 224, **others
) -> Model:
    """Every parameter random, LayerScale of order 1, so that each of them shows in the tokens."""
    width, heads = WIDTHS[size]
    values = {
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_hidden_layers": depth,
        "patch_size": patch_size,
        "image_size": image_size,
        "use_swiglu_ffn": size == "g",
        **others,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if n_registers:
            config = Dinov2WithRegistersConfig(num_register_tokens=n_registers, **values)
            model = Dinov2WithRegistersModel(config)
        else:
            model = Dinov2Model(Dinov2Config(**values))
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        around_one = "lambda1" in name or ("norm" in name and name.endswith("weight"))
        matrix = parameter.ndim == 2 and "token" not in name
        parameter.data = 1 + 0.2 * noise if around_one else (parameter.data if matrix else 0.3 * noise)
    return model.eval()


def write_official_layout(model: Model, *, chunks: int = 0, prefix: str = "") -> dict[str, Tensor]:
    """``model`` under the names of the official code; ``chunks`` as its ``block_chunks``."""
    has = dict(model.state_dict())
    state = {
        "cls_token": has["embeddings.cls_token"],
        "pos_embed": has["embeddings.position_embeddings"],
        "mask_token": has["embeddings.mask_token"],
        "patch_embed.proj.weight": has["embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": has["embeddings.patch_embeddings.projection.bias"],
        "norm.weight": has["layernorm.weight"],
        "norm.bias": has["layernorm.bias"],
    }
    if "embeddings.register_tokens" in has:
        state["register_tokens"] = has["embeddings.register_tokens"]
    depth = model.config.num_hidden_layers
    for layer in range(depth):
        theirs = f"encoder.layer.{layer}."
        ours = f"blocks.{layer // (depth // chunks)}.{layer}." if chunks else f"blocks.{layer}."
        state[f"{ours}ls1.gamma"] = has[f"{theirs}layer_scale1.lambda1"]
        state[f"{ours}ls2.gamma"] = has[f"{theirs}layer_scale2.lambda1"]
        for kind in ("weight", "bias"):
            attention = [has[f"{theirs}attention.{part}_proj.{kind}"] for part in "qkv"]
            state[f"{ours}attn.qkv.{kind}"] = torch.cat(attention)
            state[f"{ours}attn.proj.{kind}"] = has[f"{theirs}attention.o_proj.{kind}"]
            state[f"{ours}norm1.{kind}"] = has[f"{theirs}norm1.{kind}"]
            state[f"{ours}norm2.{kind}"] = has[f"{theirs}norm2.{kind}"]
            if model.config.use_swiglu_ffn:
                both = [has[f"{theirs}mlp.{part}_proj.{kind}"] for part in ("gate", "up")]
                state[f"{ours}mlp.w12.{kind}"] = torch.cat(both)
                state[f"{ours}mlp.w3.{kind}"] = has[f"{theirs}mlp.down_proj.{kind}"]
            else:
                state[f"{ours}mlp.fc1.{kind}"] = has[f"{theirs}mlp.fc1.{kind}"]
                state[f"{ours}mlp.fc2.{kind}"] = has[f"{theirs}mlp.fc2.{kind}"]
    return {prefix + name: tensor.clone() for name, tensor in state.items()}
