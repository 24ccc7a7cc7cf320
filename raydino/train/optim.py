"""AdamW as DINOv2 uses it: parameter groups, per-sub-module clipping, learning rate and decay by step.

DINOv2's code: no weight decay on biases, norms and LayerScale; the patch embedding learns at 0.2 of
the rate; the prototypes stand still at first; gradients are clipped in each sub-module by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import nn

from raydino.config import Config
from raydino.train.parallel import whole


class OptimizerConfig(Config):
    """AdamW and its schedules, in optimiser steps."""

    peak_lr: float = Field(gt=0)
    end_lr: float = Field(default=1e-6, ge=0)
    warmup_steps: int = Field(ge=0)
    weight_decay_start: float = Field(default=0.04, ge=0)
    weight_decay_end: float = Field(default=0.4, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = Field(default=3.0, gt=0)
    patch_embed_lr_factor: float = Field(default=0.2, ge=0)
    frozen_prototypes_steps: int = Field(default=0, ge=0)


def parameter_groups(module: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Trainable parameters by (decay?, patch embedding?, prototypes?); empty groups are left out."""
    groups: dict[tuple[bool, bool, bool], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = parameter.ndim > 1 and not name.endswith((".bias", ".gamma"))
        patch_embed, prototypes = ".patch_embed." in f".{name}", ".prototypes." in f".{name}"
        group = groups.setdefault(
            (decays, patch_embed, prototypes),
            {
                "params": [],
                "decays": decays,
                "lr_factor": config.patch_embed_lr_factor if patch_embed else 1.0,
                "frozen_steps": config.frozen_prototypes_steps if prototypes else 0,
            },
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


def clip_each(modules: Mapping[str, nn.Module], max_norm: float) -> dict[str, float]:
    """Clip the gradient of each module by itself, over all ranks' slices; returns the norms before clipping."""
    norms = {}
    for name, module in modules.items():
        parameters = [p for p in module.parameters() if p.grad is not None]
        norm = whole(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
        norms[name] = float(norm)
    return norms
