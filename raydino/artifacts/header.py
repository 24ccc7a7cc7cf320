"""``artifact.json``, fingerprints, and directories that appear whole or not at all.

Every directory artifact carries a header with its schema, version, producer, config, seed and the
fingerprints of what it was made from. A fingerprint is a SHA-256 over the names and contents of the
artifact's files, so two artifacts with equal content have equal fingerprints wherever they lie.
Headers hold no time of day and no absolute path: the same work gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from raydino import __version__
from raydino.errors import UserError

HEADER_NAME = "artifact.json"


@dataclass(frozen=True)
class Schema:
    """The kind of an artifact (``dataset``, ``encoder``, …) and the version of its layout."""

    name: str
    version: int


@dataclass(frozen=True)
class Header:
    """What ``artifact.json`` says."""

    schema: str
    version: int
    producer: str
    fingerprint: str
    config: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    inputs: dict[str, str] = field(default_factory=dict)


def fingerprint(directory: Path) -> str:
    """SHA-256 over relative names and contents of all files below, except the header."""
    digest = hashlib.sha256()
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        name = path.relative_to(directory).as_posix()
        if name == HEADER_NAME:
            continue
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def write_json(path: Path, values: Any) -> None:
    """Write JSON through a temporary name, so that a reader never sees half a file."""
    partial = path.with_name(f".{path.name}.partial")
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, path)


def write_header(
    directory: Path,
    schema: Schema,
    *,
    config: Mapping[str, Any] | None = None,
    seed: int | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Header:
    """Fingerprint ``directory`` as it stands and write its header."""
    header = Header(
        schema=schema.name,
        version=schema.version,
        producer=f"raydino {__version__}",
        fingerprint=fingerprint(directory),
        config=dict(config or {}),
        seed=seed,
        inputs=dict(inputs or {}),
    )
    write_json(directory / HEADER_NAME, asdict(header))
    return header


def read_header(directory: str | Path, schema: Schema | None = None) -> Header:
    """Read and check the header of ``directory``; ``schema=None`` takes any kind.

    Raises UserError when there is none, when it is of another kind, or of another version.
    """
    directory = Path(directory)
    wanted = f"a {schema.name}" if schema else "an artifact"
    if not directory.is_dir():
        raise UserError("no such directory", where=directory, remedy=f"{wanted} directory is needed here")
    path = directory / HEADER_NAME
    if not path.is_file():
        raise UserError(f"not {wanted}: it holds no {HEADER_NAME}", where=directory)
    try:
        header = Header(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"cannot be read as a header ({error})", where=path) from None
    if schema and header.schema != schema.name:
        raise UserError(f"this is {header.schema!r}, not {schema.name!r}", where=directory)
    if schema and header.version != schema.version:
        raise UserError(
            f"{schema.name} of schema version {header.version}; this raydino reads version {schema.version}",
            where=directory,
            remedy=f"make it again with raydino {__version__}",
        )
    return header


@contextmanager
def creating(
    target: str | Path,
    schema: Schema,
    *,
    config: Mapping[str, Any] | None = None,
    seed: int | None = None,
    inputs: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Iterator[Path]:
    """Give a temporary directory to fill; on success it becomes ``target``, on any error it is gone.

    An existing ``target`` is refused at once, before any work, unless ``overwrite`` is set: then the
    old artifact stays until the new one is complete.
    """
    target = Path(target)
    _remove_stale_partials(target)
    refuse_existing(target, overwrite=overwrite, schema=schema)
    made_parents = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
        partial.mkdir()
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=target) from None
    try:
        yield partial
        write_header(partial, schema, config=config, seed=seed, inputs=inputs)
        _replace_directory(partial, target)
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise UserError(
                "the disk is full; nothing was left behind", where=target, remedy="free space and run again"
            ) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in made_parents:  # innermost first; one that holds the artifact stays
            with suppress(OSError):
                parent.rmdir()


def refuse_existing(target: Path, *, overwrite: bool, schema: Schema | None = None) -> None:
    """Raise UserError when ``target`` exists and may not be replaced."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not overwrite:
        raise UserError("already exists", where=target, remedy="choose another --out or add --overwrite")
    if not (target / HEADER_NAME).is_file():
        raise UserError(
            "is not an artifact of raydino, so it is not overwritten", where=target, remedy="choose another --out"
        )
    found = read_header(target).schema
    if schema and found != schema.name:
        raise UserError(
            f"is a {found}; a {schema.name} does not overwrite it", where=target, remedy="choose another --out"
        )


def _replace_directory(source: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    if target.exists():
        os.replace(target, old)
    os.replace(source, target)
    shutil.rmtree(old, ignore_errors=True)


def _remove_stale_partials(target: Path) -> None:
    """Remove what a killed run of another process left beside ``target``; what it had moved away comes back."""
    for kind in ("old", "partial"):
        for stale in target.parent.glob(f".{target.name}.{kind}-*"):
            pid = stale.name.rpartition("-")[2]
            if pid.isdigit() and not _is_alive(int(pid)):
                if kind == "old" and not target.exists():
                    with suppress(OSError):
                        os.replace(stale, target)
                else:
                    shutil.rmtree(stale, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
