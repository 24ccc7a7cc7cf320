"""torch.compile for the blocks of a network, where this machine can compile."""

from __future__ import annotations

import importlib.util
import os
import shutil

import torch
from torch import nn

from raydino.nn.block import Block


def compile_blocks(module: nn.Module, device: torch.device) -> str | None:
    """Compile what each block of ``module`` computes; returns why not where it cannot be done, else None.

    Only a block's two residual branches are compiled, so that hooks around blocks (sharding, recomputation)
    and the draws of stochastic depth stay outside. Results differ from eager ones by rounding.
    """
    reason = why_not_compile(device)
    if reason is None:
        for block in module.modules():
            if isinstance(block, Block):
                block.run = torch.compile(block.run)  # type: ignore[method-assign]
    return reason


def why_not_compile(device: torch.device) -> str | None:
    """What torch.compile would miss on this machine, or None."""
    compiler = os.environ.get("CXX", "g++") if device.type == "cpu" else os.environ.get("CC", "gcc")
    if shutil.which(compiler) is None:
        return f"torch.compile needs the compiler {compiler}, which is not here"
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "torch.compile needs triton on a GPU, which is not installed"
    return None
