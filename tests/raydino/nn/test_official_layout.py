"""Names and sizes of the official layout. That the tokens are right is tests/raydino/weights' to show."""

import pytest
import torch

from raydino.nn.official_layout import from_official, official_sizes, to_official, unwrap_official
from raydino.nn.sizes import vit_config
from raydino.nn.vit import VisionTransformer, ViTConfig


@pytest.mark.parametrize(("ffn", "n_registers"), [("mlp", 0), ("swiglu", 4)])
def test_round_trip(ffn, n_registers):
    config = vit_config("ti", patch_size=16, image_size=64, depth=2, ffn=ffn, n_registers=n_registers)
    state = VisionTransformer(config).initialise(torch.Generator().manual_seed(0)).state_dict()
    theirs = to_official(state)
    assert "blocks.1.attn.qkv.weight" in theirs
    assert ("register_tokens" in theirs) == bool(n_registers)
    assert ("blocks.0.mlp.w12.weight" in theirs) == (ffn == "swiglu")
    restored = from_official(theirs, config)
    assert restored.keys() == state.keys()
    assert all(torch.equal(restored[name], tensor) for name, tensor in state.items())
    sizes = ViTConfig(**official_sizes(theirs))
    changes = {"layerscale_init": 1.0, "position_resize": "antialias" if n_registers else "offset"}
    assert sizes == config.model_copy(update=changes)


@pytest.mark.parametrize(("width", "ratio"), [(512, 4.0), (520, 520 * 1.5 / 192), (384, 3.0)])
def test_width_of_swiglu(width, ratio):
    config = vit_config("ti", patch_size=16, image_size=64, depth=1, ffn="swiglu", mlp_ratio=ratio)
    state = to_official(VisionTransformer(config).state_dict())
    assert state["blocks.0.mlp.w3.weight"].shape == (192, width)
    assert official_sizes(state)["mlp_ratio"] == ratio


def test_chunks_count_through():
    tensor = torch.zeros(1)
    names = ("blocks.0.0.norm1.bias", "blocks.2.11.norm1.bias", "blocks.7.norm1.bias", "pos_embed")
    bare = unwrap_official({f"teacher.backbone.{name}": tensor for name in names})
    assert list(bare) == ["blocks.0.norm1.bias", "blocks.11.norm1.bias", "blocks.7.norm1.bias", "pos_embed"]


def test_what_holds_no_tensors_is_empty():
    assert unwrap_official({"iteration": 3, "optimizer": {"state": torch.zeros(1)}}) == {}
    assert unwrap_official(torch.zeros(3)) == {}
