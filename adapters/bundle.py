"""An adapter on disk (``raydino.artifacts.adapter``): one format for all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model

from adapters.base import Adapter
from adapters.registry import ADAPTERS
from raydino.artifacts.adapter import AdapterCard, read_card, write_card
from raydino.artifacts.header import write_json
from raydino.config import parse_config
from raydino.encoder import EncoderSpec
from raydino.errors import UserError


def write_bundle(directory: Path, adapter: Adapter, metrics: dict[str, Any]) -> None:
    """Write card, weights, validation figures and the adapter's own files into ``directory``."""
    card = AdapterCard(
        kind=adapter.config.kind,
        task=adapter.task,
        config=adapter.config.resolved(),
        labels=adapter.labels,
        thresholds=adapter.thresholds,
        calibration=adapter.calibration,
        encoder=adapter.spec.fingerprint,
        pixels=adapter.spec.pixels,
    )
    write_card(directory, card)
    save_model(adapter, str(directory / "weights.safetensors"))  # unlike save_file it knows tied weights
    write_json(directory / "metrics.json", metrics)
    adapter.write_files(directory)


def load_adapter(path: str | Path, spec: EncoderSpec) -> Adapter:
    """The fitted adapter at ``path``, in evaluation mode on the CPU.

    Raises UserError when it was fitted on another encoder or pixel recipe, or its files do not fit together.
    """
    path = Path(path)
    card = read_card(path)
    if card.encoder != spec.fingerprint:
        raise UserError(
            f"fitted on another encoder ({card.encoder[:12]}) than the one given ({spec.fingerprint[:12]})",
            where=path,
            remedy="give that encoder, or fit the adapter again",
        )
    if card.pixels != spec.pixels:
        raise UserError("fitted on films of another pixel recipe than the encoder's", where=path)
    lacking = [label for label in card.labels if card.thresholds and label not in card.thresholds]
    if lacking:
        raise UserError(f"its card has no threshold for the label {lacking[0]!r}", where=path / "adapter.json")
    cls: type[Adapter] = ADAPTERS.get(card.kind)
    config = parse_config(card.config, cls.config_model, where=path / "adapter.json")
    adapter = cls.restore(config, spec.at(config.recipe.image_size), card.labels, path)
    try:
        load_model(adapter, path / "weights.safetensors")
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"its weights do not fit its config ({reason})", where=path, remedy="fit the adapter again"
        ) from None
    adapter.thresholds, adapter.calibration = dict(card.thresholds), dict(card.calibration)
    return adapter.eval()
