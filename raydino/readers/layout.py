"""What the readers of public data sets share: where the files lie, which columns a table has, what was published.

A data set is found in the folder that the user names or one level below it, for archives unpack both ways.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, require_directory


def places(source: str) -> list[Path]:
    """``source`` and the folders in it, by name; nothing where it is no folder that can be read."""
    top = Path(source)
    try:
        return [top, *sorted(path for path in top.iterdir() if path.is_dir())] if top.is_dir() else []
    except OSError:
        return []


def find(source: str, names: Iterable[str]) -> Path | None:
    """The first of ``names`` (files or folders) that lies in ``source`` or one level below."""
    around = places(source)
    # os.path says False where Path.exists raises: in a folder that may not be read.
    return next((path for name in names for place in around if os.path.exists(path := place / name)), None)


def require(source: str, options: ReaderOptions, names: Iterable[str], what: str) -> Path:
    """``find``, or a UserError that says what is missing; also where the user named a table of images."""
    if options.table is not None:
        raise UserError(
            "--images-csv is for image files without a data set's own tables",
            remedy="leave it out; further labels come with --labels",
        )
    require_directory(source)
    names = tuple(names)
    if (found := find(source, names)) is None:
        raise UserError(
            f"holds no {what}", where=source, remedy=f"wanted: {' or '.join(names)}, here or one level below"
        )
    return found


def require_columns(frame: pd.DataFrame, path: Path, columns: Iterable[str]) -> None:
    """Raises UserError where one of ``columns`` is missing."""
    if missing := [column for column in columns if column not in frame.columns]:
        found = ", ".join(map(str, frame.columns[:8]))
        raise UserError(f"lacks a column {missing[0]}", where=path, remedy=f"found: {found}")


def files_below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Paths below ``folder``, relative to it, of files with one of ``suffixes`` (lower case), in order."""
    yield from sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def counted(count: int, what: str) -> list[str]:
    """A line where there is something to count."""
    return [f"{count:,} {what}"] if count else []


def differences(found: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """A line for each count that is not the published one."""
    return [
        f"{found[what]:,} {what}, but {number:,} were published"
        for what, number in published.items()
        if found[what] != number
    ]
