"""Tensors out of other people's files, without running anything that they hold.

Only safetensors and ``torch.load(weights_only=True)``: a pickle that wants to call code is refused.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from raydino.errors import UserError

_CODE = re.compile(r"(?:GLOBAL:?|add_safe_globals\(\[)\s*([\w.]+)")
_INDEX = "model.safetensors.index.json"


def read_checkpoint(path: Path) -> object:
    """What a ``.safetensors`` file or a file of ``torch.save`` holds; tensors on the CPU.

    Raises UserError for a file that is neither, that is cut off, or whose pickle would run code.
    """
    if not path.is_file():
        raise UserError("no such file", where=path, remedy="a .pth, a .safetensors or a directory is needed here")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about protocols of pickles, which end in an error anyhow
            return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, LookupError, EOFError, ValueError) as error:
        code = _CODE.search(str(error))
        if code:
            raise UserError(
                f"its pickle would run {code[1].rstrip('.')}, and raydino loads tensors only",
                where=path,
                remedy="save the tensors alone, as safetensors, where you trust the file",
            ) from None
        raise UserError(
            "cannot be read as a checkpoint: neither safetensors nor tensors of torch.save, or cut off", where=path
        ) from None


def weight_files(directory: Path) -> list[Path]:
    """The weights of a Hugging Face directory: one safetensors file, shards with an index, or a ``.bin``."""
    if (directory / _INDEX).is_file() and not (directory / "model.safetensors").is_file():
        names = sorted({str(name) for name in read_json(directory / _INDEX).get("weight_map", {}).values()})
    else:
        names = [name for name in ("model.safetensors", "pytorch_model.bin") if (directory / name).is_file()][:1]
    if not names:
        raise UserError("holds no model.safetensors", where=directory)
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise UserError(f"names the file {outside[0]!r}, which is not beside it", where=directory / _INDEX)
    return [directory / name for name in names]


def read_tensors(files: Iterable[Path]) -> dict[str, Tensor]:
    """The named tensors of all ``files`` together."""
    state: dict[str, Tensor] = {}
    for file in files:
        part = read_checkpoint(file)
        if not isinstance(part, dict):
            raise UserError("holds no named tensors", where=file)
        state |= {str(name): value for name, value in part.items() if isinstance(value, Tensor)}
    return state


def sha256_of(files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 by name of file."""
    sums: dict[str, str] = {}
    for file in files:
        with file.open("rb") as opened:
            sums[file.name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return sums


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError when it is not there or not one."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read as JSON ({error})", where=path) from None
    if not isinstance(values, dict):
        raise UserError("is not a JSON object", where=path)
    return values
