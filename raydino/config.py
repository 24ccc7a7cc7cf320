"""Typed configs: one complete YAML file a command, unknown keys refused, ``--set a.b=c`` on top.

No inheritance between files and no interpolation, so a file says everything. A fault names the
dotted path and the nearest right key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from raydino.errors import UserError


class Config(BaseModel):
    """Base of every config model: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def resolved(self) -> dict[str, Any]:
        """The config as plain JSON types, as it is recorded in artifacts."""
        return self.model_dump(mode="json")


C = TypeVar("C", bound=Config)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 floats (PyYAML reads ``1e-3`` as a string) and no silently repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def load_config(path: str | Path, model: type[C], overrides: Iterable[str] = ()) -> C:
    """Read ``path`` as ``model`` after applying ``overrides`` (each ``dotted.key=value``).

    Raises UserError with the dotted path of the first fault.
    """
    return parse_config(_read_yaml(Path(path)), model, overrides, where=path)


def parse_config(values: dict[str, Any], model: type[C], overrides: Iterable[str] = (), *, where: object = None) -> C:
    """Validate ``values`` as ``model``; ``where`` names their origin in error messages."""
    for override in overrides:
        values = _overridden(values, override)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _user_error(error, model, where) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except OSError as error:
        raise UserError(
            f"cannot read the config ({error.strerror})", where=path, remedy="see configs/ for examples"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"not valid YAML ({reason})", where=path) from None
    if not isinstance(values, dict):
        raise UserError("a config must be a mapping of keys to values", where=path)
    return values


def _overridden(values: dict[str, Any], override: str) -> dict[str, Any]:
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise UserError(f"cannot read --set {override!r}", remedy="write it as --set section.key=value")
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError:
        raise UserError(f"the value in --set {override!r} is not YAML") from None
    result = dict(values)
    level = result
    *parents, last = dotted.split(".")
    for parent in parents:
        child = level.get(parent)
        level[parent] = dict(child) if isinstance(child, dict) else {}
        level = level[parent]
    level[last] = value
    return result


def _user_error(error: ValidationError, model: type[BaseModel], where: object) -> UserError:
    # A misspelt key is missing and unknown at once: the unknown one tells the user more.
    fault = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    location = [part for part in fault["loc"] if isinstance(part, str | int)]
    dotted = ".".join(str(part) for part in location) or "(top level)"
    if fault["type"] == "extra_forbidden":
        known = _keys_beside(model, location)
        near = get_close_matches(str(location[-1]), known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return UserError(f"unknown key {dotted!r}", where=where, remedy=remedy)
    if fault["type"] == "missing":
        return UserError(f"missing key {dotted!r}", where=where)
    message = fault["msg"].removeprefix("Value error, ")
    given = repr(fault.get("input"))
    shown = given if len(given) < 60 else given[:57] + "..."
    return UserError(f"{dotted!r}: {message} (got {shown})", where=where)


def _keys_beside(model: type[BaseModel], location: list[str | int]) -> list[str]:
    """The keys that the model knows at the place of a forbidden one; unions show all members."""
    found: set[str] = set()

    def visit(candidate: Any, rest: list[str | int]) -> None:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            if len(rest) == 1:
                found.update(candidate.model_fields)
            elif rest and rest[0] in candidate.model_fields:
                visit(candidate.model_fields[str(rest[0])].annotation, rest[1:])
            elif len(rest) > 1:  # a union's discriminator stands in the location
                visit(candidate, rest[1:])
            return
        for member in getattr(candidate, "__args__", ()):
            visit(member, rest)

    visit(model, location)
    return sorted(found)
