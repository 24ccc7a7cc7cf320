"""Parameter groups, rates by step and clipping by sub-module."""

import math

import pytest
import torch
from torch import nn

from raydino.nn.vit import ViTConfig
from raydino.ssl.network import HeadConfig, Network
from raydino.train.optim import OptimizerConfig, clip_each, layer_of, make_optimizer, scaled_lr, set_step

CONFIG = OptimizerConfig(peak_lr=1.0, warmup_steps=0, patch_embed_lr_factor=0.2, frozen_prototypes_steps=3)


def network(depth: int = 1) -> Network:
    vit = ViTConfig(image_size=16, patch_size=8, embed_dim=8, depth=depth, n_heads=2, n_registers=1)
    return Network(vit, HeadConfig(hidden_dim=8, bottleneck_dim=4, n_prototypes=6))


def rates(step: int, config: OptimizerConfig = CONFIG, depth: int = 1) -> dict[str, tuple[float, float]]:
    model = network(depth)
    optimizer = make_optimizer(model, config)
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
    for name in ("cls_token", "register_tokens", "mask_token", "pos_embed"):  # DINOv2's code decays them
        assert got[f"backbone.{name}"] == (0.5, 0.04)


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


def test_layerwise_decay():
    """Three blocks: embeddings at 0.9⁴, blocks at 0.9³, 0.9² and 0.9, the last norm and the heads at 1."""
    config = OptimizerConfig(peak_lr=1.0, warmup_steps=0, layerwise_decay=0.9)
    got = {name: lr / 0.5 for name, (lr, _) in rates(0, config, depth=3).items()}
    for name in ("cls_token", "register_tokens", "mask_token", "pos_embed"):
        assert got[f"backbone.{name}"] == pytest.approx(0.9**4)
    assert got["backbone.patch_embed.weight"] == pytest.approx(0.2 * 0.9**4)
    for block in range(3):
        assert got[f"backbone.blocks.{block}.ffn.fc1.weight"] == pytest.approx(0.9 ** (3 - block))
    for name in ("backbone.norm.weight", "dino_head.mlp.0.weight", "ibot_head.prototypes.weight"):
        assert got[name] == 1.0


def test_every_parameter_is_in_one_group():
    model = network(3)
    groups = make_optimizer(model, OptimizerConfig(peak_lr=1.0, warmup_steps=0, layerwise_decay=0.9)).param_groups
    ids = [id(p) for group in groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())


def test_wrappers_in_names_do_not_matter():
    assert layer_of("module.backbone.blocks.11.attn.qkv.weight", 24) == 12
    assert layer_of("backbone.blocks.11._checkpoint_wrapped_module.norm1.weight", 24) == 12
    assert layer_of("module.backbone.pos_embed", 24) == 0
    assert layer_of("dino_head.mlp.4.weight", 24) == 25


def test_head_warm_up_leaves_the_backbone_to_the_bit():
    config = OptimizerConfig(peak_lr=1.0, warmup_steps=0, head_warmup_steps=2)
    model = network().initialise(torch.Generator().manual_seed(0))
    optimizer = make_optimizer(model, config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for step in range(3):
        moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
        assert not any(name.startswith("backbone.") for name in moved)
        assert not step or "dino_head.mlp.0.weight" in moved
        set_step(optimizer, step=step, lr=0.5, weight_decay=0.04)
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.1)
        optimizer.step()
    assert not torch.equal(model.backbone.pos_embed, before["backbone.pos_embed"])


def test_betas_reach_the_optimiser():
    config = OptimizerConfig(peak_lr=1.0, warmup_steps=0, betas=(0.8, 0.99))
    assert {group["betas"] for group in make_optimizer(network(), config).param_groups} == {(0.8, 0.99)}


def test_the_rule_for_batches():
    """papers.md 1.2: 2e-4 for 1024 films is 3.46e-4 for 3072."""
    assert scaled_lr(2e-4, 3072) == pytest.approx(2e-4 * math.sqrt(3))
    assert scaled_lr(4e-3, 1024) == 4e-3
