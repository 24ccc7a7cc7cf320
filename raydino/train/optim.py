"""AdamW as DINOv2 uses it: parameter groups, per-sub-module clipping, learning rate and decay by step.

DINOv2's code (utils/param_groups.py, train/train.py): no weight decay on biases, norms and LayerScale, but on all
the rest, class, register and mask tokens and position embeddings included; the patch embedding learns at 0.2 of the
rate; a block's rate falls by ``layerwise_decay`` for each block above it; the prototypes stand still at first;
gradients are clipped in each sub-module by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from raydino.config import Config
from raydino.train.parallel import whole

_BLOCK = re.compile(r"(?:^|\.)blocks\.(\d+)\.")
_EMBEDDING = re.compile(r"(?:^|\.)(?:patch_embed\.|(?:cls_token|register_tokens|mask_token|pos_embed)$)")


class OptimizerConfig(Config):
    """AdamW and its schedules, in optimiser steps."""

    peak_lr: float = Field(gt=0)  # for this batch_size; see scaled_lr for DINOv2's rule
    end_lr: float = Field(default=1e-6, ge=0)
    warmup_steps: int = Field(ge=0)
    weight_decay_start: float = Field(default=0.04, ge=0)
    weight_decay_end: float = Field(default=0.4, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)  # the second at 0.99 where the loss becomes NaN (dinov2#143)
    clip_norm: float = Field(default=3.0, gt=0)
    patch_embed_lr_factor: float = Field(default=0.2, ge=0)
    layerwise_decay: float = Field(default=1.0, gt=0, le=1)  # 1 in DINOv2's long configs, 0.9 in the short one
    frozen_prototypes_steps: int = Field(default=0, ge=0)
    head_warmup_steps: int = Field(default=0, ge=0)  # the backbone stands still while new heads learn


def scaled_lr(base_lr: float, batch_size: int) -> float:
    """DINOv2's rule (``sqrt_wrt_1024``): its configs give ``base_lr`` for a batch of 1024, ours the result."""
    return base_lr * math.sqrt(batch_size / 1024)


def layer_of(name: str, depth: int) -> int:
    """0 for the tokens and embeddings of a ViT of ``depth`` blocks, 1..depth for its blocks, then all the rest.

    DINOv2's code leaves register tokens among the rest, by omission it seems: DINOv3's has them at 0, as here.
    """
    if _EMBEDDING.search(name):
        return 0
    block = _BLOCK.search(name)
    return depth + 1 if block is None else int(block[1]) + 1


def parameter_groups(module: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Trainable parameters by (decay?, factor of the learning rate, steps without learning)."""
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    depth = 1 + max((int(match[1]) for name, _ in named if (match := _BLOCK.search(name))), default=-1)
    groups: dict[tuple[bool, float, int], dict[str, Any]] = {}
    for name, parameter in named:
        decays = parameter.ndim > 1 and not name.endswith((".bias", ".gamma"))
        lr_factor = config.layerwise_decay ** (depth + 1 - layer_of(name, depth))
        if ".patch_embed." in f".{name}":
            lr_factor *= config.patch_embed_lr_factor
        frozen_steps = config.frozen_prototypes_steps if ".prototypes." in f".{name}" else 0
        if "backbone" in name.split("."):
            frozen_steps = config.head_warmup_steps
        group = groups.setdefault(
            (decays, lr_factor, frozen_steps),
            {"params": [], "decays": decays, "lr_factor": lr_factor, "frozen_steps": frozen_steps},
        )
        group["params"].append(parameter)
    return list(groups.values())


def make_optimizer(module: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over ``parameter_groups``; ``set_step`` gives it its rates."""
    return torch.optim.AdamW(parameter_groups(module, config), lr=0.0, betas=config.betas, fused=True)


def set_step(optimizer: torch.optim.Optimizer, *, step: int, lr: float, weight_decay: float) -> None:
    """Set every group's learning rate and decay for ``step``."""
    for group in optimizer.param_groups:
        group["lr"] = 0.0 if step < group["frozen_steps"] else lr * group["lr_factor"]
        group["weight_decay"] = weight_decay if group["decays"] else 0.0


def clip_each(modules: Mapping[str, nn.Module], max_norm: float) -> dict[str, Tensor]:
    """Clip the gradient of each module by itself, over all ranks' slices; returns the norms before clipping."""
    norms = {}
    for name, module in modules.items():
        parameters = [p for p in module.parameters() if p.grad is not None]
        norms[name] = whole(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norms[name])
    return norms
