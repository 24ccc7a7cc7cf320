"""The encoder artifact: a frozen ViT in Hugging Face's layout, with what is needed to use it rightly.

Files: ``config.json`` and ``model.safetensors`` (``transformers.AutoModel.from_pretrained`` reads
them), ``preprocessor_config.json``, ``encoder.json`` (an ``EncoderCard``), ``golden.safetensors`` (an
input and its output, recomputed at every load).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from raydino.artifacts.header import Schema, read_header, write_json
from raydino.errors import UserError

ENCODER = Schema("encoder", 1)
# The same network as a graph for other programs: encoder.onnx or encoder.pt2, and encoder.json
ONNX_EXPORT = Schema("graph_onnx", 1)
TORCH_EXPORT = Schema("graph_torch", 1)


@dataclass(frozen=True)
class EncoderCard:
    """What ``encoder.json`` says beside the sizes of the network."""

    vit: dict[str, Any]  # raydino.nn.vit.ViTConfig
    pixels: dict[str, Any]  # pixel recipe of the films that it was trained on; empty: unknown, so any is taken
    mean: float | list[float]  # of training pixels scaled to 0..1; a list has one value a channel
    std: float | list[float]
    steps: int | None  # optimiser steps of pretraining; 0 is random initialisation, None unknown
    origin: dict[str, Any] = field(default_factory=dict)  # of imported weights: file, format, how they were prepared


def write_encoder_card(directory: Path, card: EncoderCard) -> None:
    """Write ``encoder.json``."""
    write_json(directory / "encoder.json", asdict(card))


def read_encoder_card(directory: str | Path) -> EncoderCard:
    """Read and check ``encoder.json``."""
    read_header(directory, ENCODER)
    path = Path(directory) / "encoder.json"
    try:
        return EncoderCard(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"cannot be read as an encoder's card ({error})", where=path) from None
