"""A tree of files in a data set's layout: tables as text, films as empty files unless their bytes matter."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """``tree({"table.csv": "a,b\\n", "films/1.png": ""}, "name")``: the folder; ``.gz`` names are compressed."""

    def make(files: Mapping[str, str], name: str = "source") -> Path:
        root = tmp_path / name
        for file, text in files.items():
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(text.encode()) if file.endswith(".gz") else text.encode())
        return root

    return make
