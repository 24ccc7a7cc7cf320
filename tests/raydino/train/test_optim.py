"""Parameter groups, rates by step and clipping by sub-module."""

import pytest
import torch
from torch import nn

from raydino.nn.vit import ViTConfig
from raydino.ssl.network import HeadConfig, Network
from raydino.train.optim import OptimizerConfig, clip_each, make_optimizer, set_step

CONFIG = OptimizerConfig(peak_lr=1.0, warmup_steps=0, patch_embed_lr_factor=0.2, frozen_prototypes_steps=3)


def network() -> Network:
    vit = ViTConfig(image_size=16, patch_size=8, embed_dim=8, depth=1, n_heads=2, n_registers=1)
    return Network(vit, HeadConfig(hidden_dim=8, bottleneck_dim=4, n_prototypes=6))


def rates(step: int) -> dict[str, tuple[float, float]]:
    model = network()
    optimizer = make_optimizer(model, CONFIG)
    set_step(optimizer, step=step, lr=0.5, weight_decay=0.04)
    by_id = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    return {name: by_id[id(p)] for name, p in model.named_parameters()}


def test_every_parameter_has_its_rate_and_decay():
    got = rates(step=3)
    assert got["backbone.blocks.0.attn.qkv.weight"] == (0.5, 0.04)
    assert got["backbone.blocks.0.attn.qkv.bias"] == (0.5, 0.0)
    assert got["backbone.blocks.0.norm1.weight"] == (0.5, 0.0)
    assert got["backbone.blocks.0.ls1.gamma"] == (0.5, 0.0)
    assert got["backbone.patch_embed.weight"] == (0.1, 0.04)
    assert got["backbone.patch_embed.bias"] == (0.1, 0.0)
    assert got["dino_head.prototypes.weight"] == (0.5, 0.04)


def test_prototypes_stand_still_at_first():
    assert rates(step=2)["ibot_head.prototypes.weight"][0] == 0.0
    assert rates(step=2)["ibot_head.mlp.0.weight"][0] == 0.5


def test_each_part_is_clipped_by_itself():
    parts = {"large": nn.Linear(1, 1, bias=False), "small": nn.Linear(1, 1, bias=False)}
    parts["large"].weight.grad = torch.tensor([[30.0]])
    parts["small"].weight.grad = torch.tensor([[0.5]])
    assert clip_each(parts, 3.0) == {"large": 30.0, "small": 0.5}
    assert float(parts["large"].weight.grad) == pytest.approx(3.0, rel=1e-5)
    assert float(parts["small"].weight.grad) == 0.5
