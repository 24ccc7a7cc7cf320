"""A network with its heads as one file: ``network.safetensors`` and ``network.json``, what a next stage starts from.

A run keeps the network that it is for (the teacher, or the average of a distilled student) in ``RUN/teacher``
beside its checkpoints. An encoder artifact holds the backbone alone, in Hugging Face's layout.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from raydino.artifacts.header import write_json
from raydino.config import parse_config
from raydino.errors import UserError
from raydino.nn.vit import ViTConfig
from raydino.ssl.network import HeadConfig, Network

FORMAT_VERSION = 1
WEIGHTS, DESCRIPTION = "network.safetensors", "network.json"


def save_network(
    directory: Path, state: Mapping[str, Tensor], vit: ViTConfig, head: HeadConfig, ibot_head: HeadConfig, *, step: int
) -> None:
    """Write the pair; each file appears whole. ``state``: the network's full state dict."""
    directory.mkdir(parents=True, exist_ok=True)
    sizes = {"vit": vit.resolved(), "dino_head": head.resolved(), "ibot_head": ibot_head.resolved()}
    write_json(directory / DESCRIPTION, {"format": FORMAT_VERSION, "step": step, **sizes})
    partial = directory / f".{WEIGHTS}.partial"
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        save_file(tensors, partial, metadata={"step": str(step)})
        os.replace(partial, directory / WEIGHTS)
    finally:
        partial.unlink(missing_ok=True)


def load_network(directory: Path) -> tuple[Network, int]:
    """The network on the CPU and the step that it was saved at. Raises UserError when the pair cannot be read."""
    description = _description(directory / DESCRIPTION)
    where = directory / DESCRIPTION
    vit = parse_config(description["vit"], ViTConfig, where=where)
    heads = [parse_config(description[name], HeadConfig, where=where) for name in ("dino_head", "ibot_head")]
    network = Network(vit, *heads)
    try:
        network.load_state_dict(load_file(directory / WEIGHTS))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"its weights do not fit {DESCRIPTION} ({reason})", where=directory / WEIGHTS) from None
    return network, int(description["step"])


def _description(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        missing = {"format", "step", "vit", "dino_head", "ibot_head"} - found.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"cannot be read as a network's description ({error})", where=path) from None
    if missing:
        raise UserError(f"a network's description lacks {', '.join(sorted(missing))}", where=path)
    if found["format"] != FORMAT_VERSION:
        raise UserError(f"a network of format {found['format']!r}, not {FORMAT_VERSION}", where=path)
    return found
