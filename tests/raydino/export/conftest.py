"""Encoders that differ in what an export must carry over: registers, channels, how positions are resized."""

from pathlib import Path

import pytest
import torch

from raydino.artifacts.encoder import EncoderCard
from raydino.encoder import save_encoder
from raydino.nn.vit import VisionTransformer, ViTConfig


@pytest.fixture(params=["registers", "no registers", "rgb swiglu"])
def any_encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    changes = {
        "registers": {"n_registers": 2},
        "no registers": {"position_resize": "offset"},
        "rgb swiglu": {"channels": 3, "ffn": "swiglu"},
    }[request.param]
    config = ViTConfig(image_size=32, patch_size=8, embed_dim=32, depth=2, n_heads=2, layerscale_init=1.0, **changes)
    vit = VisionTransformer(config).initialise(torch.Generator().manual_seed(0))
    mean, std = ([0.5, 0.4, 0.3], [0.2, 0.3, 0.25]) if config.channels == 3 else (0.5, 0.25)
    card = EncoderCard(vit=config.resolved(), pixels={}, mean=mean, std=std, steps=None)
    save_encoder(tmp_path / "encoder", vit, card, inputs={})
    return tmp_path / "encoder"
