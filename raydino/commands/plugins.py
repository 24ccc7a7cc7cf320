"""``raydino plugins``: every extension point with its names, origins and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from raydino.registry import Registry

# Every registry of the product. The siblings stand here as strings: raydino never imports them.
_REGISTRIES = (
    "raydino.cli:COMMANDS",
    "raydino.readers.base:READERS",
    "raydino.data.augment:AUGMENTATIONS",
    "raydino.nn.attention:ATTENTION_BACKENDS",
    "raydino.tracking:TRACKERS",
    "adapters.registry:ADAPTERS",
    "adapters.report.scorers:SCORERS",
    "bias_audit.axes:AXES",
    "bias_audit.metrics:METRICS",
)


def plugins() -> None:
    """List every extension point: its names, who brings them, and what is missing to use them.

    A third party adds a name by an entry point in the group that stands beside each kind.
    """
    from raydino.commands.tables import print_table

    for target in _REGISTRIES:
        registry = _load(target)
        if registry is None:
            typer.echo(f"{target} is not installed", err=True)
            continue
        rows = [(p.name, p.origin, p.target, p.missing() or "ready") for p in registry.plugins().values()]
        print_table(
            f"{registry.kind} (entry-point group {registry.group})", [rows], ("name", "origin", "target", "state")
        )


def _load(target: str) -> Registry | None:
    """The registry at ``module:object``, None where its package is not installed."""
    import importlib

    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return None
