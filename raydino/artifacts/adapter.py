"""The adapter bundle: weights, the ordered labels, thresholds, and the encoder it belongs to.

Files: ``adapter.json`` (an ``AdapterCard``), ``weights.safetensors``, ``metrics.json`` (validation
figures); the report adapter adds ``tokenizer.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from raydino.artifacts.header import Schema, read_header, write_json
from raydino.errors import UserError

ADAPTER = Schema("adapter", 2)  # 2: a token that lies in two cells of a grid counts in each by its area


@dataclass(frozen=True)
class AdapterCard:
    """What rebuilds an adapter beside its weights."""

    kind: str  # the name in the registry of adapters
    task: str  # classification, segmentation, regression or report
    config: dict[str, Any]
    labels: tuple[str, ...]  # ordered labels or structures
    thresholds: dict[str, float | None]  # per label, chosen on the validation split; None: no operating point
    encoder: str  # fingerprint of the encoder that it was fitted on
    pixels: dict[str, Any]  # pixel recipe of the films that it was fitted on
    # per label, fitted on the validation split: what makes its logits probabilities (adapters.calibration); none: σ
    calibration: dict[str, dict[str, Any]] = field(default_factory=dict)


def write_card(directory: Path, card: AdapterCard) -> None:
    """Write ``adapter.json``."""
    write_json(directory / "adapter.json", asdict(card))


def read_card(directory: str | Path) -> AdapterCard:
    """Read and check ``adapter.json``."""
    read_header(directory, ADAPTER)
    path = Path(directory) / "adapter.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return AdapterCard(**{**values, "labels": tuple(values["labels"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"cannot be read as an adapter's card ({error})", where=path) from None
