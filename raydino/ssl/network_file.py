"""A network with its heads as one file: ``network.safetensors`` and ``network.json``, what a next stage starts from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from raydino.artifacts.header import write_json
from raydino.nn.vit import ViTConfig
from raydino.ssl.method import HeadConfig

FORMAT_VERSION = 1


def save_network(
    directory: Path, state: Mapping[str, Tensor], vit: ViTConfig, head: HeadConfig, ibot_head: HeadConfig, *, step: int
) -> None:
    """Write the pair; each file appears whole. ``state``: the network's full state dict."""
    directory.mkdir(parents=True, exist_ok=True)
    sizes = {"vit": vit.resolved(), "dino_head": head.resolved(), "ibot_head": ibot_head.resolved()}
    write_json(directory / "network.json", {"format": FORMAT_VERSION, "step": step, **sizes})
    partial = directory / ".network.safetensors.partial"
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        save_file(tensors, partial, metadata={"step": str(step)})
        os.replace(partial, directory / "network.safetensors")
    finally:
        partial.unlink(missing_ok=True)
