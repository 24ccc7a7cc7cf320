"""A config file of an adapter, read as the model that its ``kind`` asks for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ConfigDict

from adapters.base import Adapter, AdapterConfig
from adapters.registry import ADAPTERS
from raydino.config import Config, load_config


class _Kind(Config):
    """Only the ``kind`` of a config file."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    kind: str


def load_adapter_config(path: str | Path, overrides: Iterable[str] = ()) -> AdapterConfig:
    """Raises UserError for an unknown kind or key, with the nearest right one."""
    overrides = tuple(overrides)
    cls: type[Adapter] = ADAPTERS.get(load_config(path, _Kind, overrides).kind)
    return load_config(path, cls.config_model, overrides)
