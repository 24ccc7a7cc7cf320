"""Extension points: one table of ``"module:object"`` strings, and an entry-point group beside it.

Built-ins stand in one visible table, so listing them imports nothing. A third party adds to the
same registry from its own package by declaring an entry point in the registry's group. Two owners
of one name are an error that names both.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from raydino.errors import UserError


@dataclass(frozen=True)
class Plugin:
    """One registered name: where its object lives (``module:object``) and who registered it."""

    name: str
    target: str
    origin: str

    def load(self) -> Any:
        """Import the object. A missing third-party module is the user's to install."""
        module_name, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            raise UserError(
                f"{self.name!r} (from {self.origin}) needs the module {error.name!r}",
                remedy=f"install it with: pip install {error.name}",
            ) from error

    def missing(self) -> str | None:
        """Why the object cannot be loaded here, or None when it can."""
        try:
            self.load()
        except UserError as error:
            return error.what
        except (ImportError, AttributeError) as error:
            return f"{type(error).__name__}: {error}"
        return None


class Registry:
    """Names of one kind of thing, found in ``builtin`` and in the entry-point group ``group``."""

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = builtin

    def plugins(self) -> dict[str, Plugin]:
        """Every registered plugin by name, in alphabetical order."""
        found = {name: Plugin(name, target, "raydino") for name, target in self._builtin.items()}
        for point in entry_points(group=self.group):
            owner = point.dist.name if point.dist else "unknown package"
            plugin = Plugin(point.name, point.value, owner)
            known = found.get(point.name)
            if known and known.target != plugin.target:
                raise UserError(
                    f"two packages register the {self.kind} {point.name!r}: "
                    f"{known.origin} ({known.target}) and {owner} ({point.value})",
                    remedy="uninstall one of them",
                )
            found[point.name] = plugin
        return dict(sorted(found.items()))

    def get(self, name: str) -> Any:
        """The object registered as ``name``; an unknown name lists the nearest ones."""
        plugins = self.plugins()
        if name not in plugins:
            near = get_close_matches(name, plugins, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(plugins)}"
            raise UserError(f"no {self.kind} is called {name!r}", remedy=hint)
        return plugins[name].load()
