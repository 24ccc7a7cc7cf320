"""Checkpoints by ``torch.distributed.checkpoint``: written beside the training, whole or not at all, free of code.

``checkpoints/step-00000500/`` holds one safetensors file a rank and ``checkpoint.json``. DCP's own format keeps
its ``.metadata`` as a pickle, which a reader would have to run. Its safetensors storage keeps the place of every
slice in the files' headers instead, so nothing but numbers and JSON is ever read, and a checkpoint still loads at
another number of ranks and in another parallel mode. Only tensors go in; everything else that a resume needs is
a function of the recipe and the step.

A save copies the state and returns; a thread writes ``.step-….partial``, and when all ranks have written, rank 0
adds ``checkpoint.json`` and renames the directory. Until then the older checkpoints are the newest.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException

from raydino.artifacts.durable import on_disk
from raydino.artifacts.header import write_json
from raydino.errors import UserError
from raydino.train.distributed import background_group, is_main, world_size

FORMAT_VERSION = 2
FACTS = "checkpoint.json"
_NAME = re.compile(r"step-(\d{8})")

warnings.filterwarnings("ignore", message="torch.distributed is disabled, unavailable or uninitialized")


class Stored(NamedTuple):
    """Shape and type of a tensor in a checkpoint."""

    shape: torch.Size
    dtype: torch.dtype


class Checkpoints:
    """The checkpoints of one run. All ranks must make it, and call ``save`` and ``wait`` after the same step."""

    def __init__(self, directory: Path, *, keep: int = 2) -> None:
        self.directory = directory
        self._keep = keep
        self._group = background_group()
        self._pending: Future[Any] | None = None
        self._pending_step = 0

    def save(self, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Begin to write ``tensors`` as the checkpoint of ``step``, once the last save is done.

        ``facts`` stand in ``checkpoint.json``. A fault of the writing comes out of a later call: see ``poll``.
        """
        self.wait()
        partial = self._partial(step)
        if is_main():
            for stale in self.directory.glob(".step-*.partial"):  # of a run that was killed
                shutil.rmtree(stale, ignore_errors=True)
        record = {"format": FORMAT_VERSION, "step": step, "world_size": world_size(), **facts}
        writer = _CommittingWriter(partial, self.directory / f"step-{step:08d}", record, self._keep)
        self._pending_step = step
        saving = dcp.async_save(
            dict(tensors), storage_writer=writer, process_group=self._group, no_dist=world_size() == 1
        )
        assert isinstance(saving, Future)  # an AsyncSaveResponse comes of a stager of one's own only
        self._pending = saving

    def poll(self) -> None:
        """Raise UserError if the save that runs in the background has failed. Waits for nothing."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def wait(self) -> None:
        """Return when the last save is on disk. Raises UserError when it failed; older ones are intact."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        try:
            pending.result()
        except (CheckpointException, Exception) as error:
            if is_main():
                shutil.rmtree(self._partial(self._pending_step), ignore_errors=True)
            fault = _fault(error)
            if not isinstance(fault, OSError):
                raise fault from error
            raise UserError(
                f"the checkpoint of step {self._pending_step} cannot be written ({fault.strerror or fault})",
                where=self.directory,
                remedy="free space and continue with --resume: the last good checkpoint is intact",
            ) from error

    def close(self) -> None:
        """Let a save that still runs come to its end after a fault elsewhere, which is what the user is told of."""
        with suppress(Exception):
            self.wait()

    def _partial(self, step: int) -> Path:
        return self.directory / f".step-{step:08d}.partial"


class _CommittingWriter(dcp.HuggingFaceStorageWriter):
    """DCP's safetensors storage, whose last act on rank 0 is to give the directory its name."""

    def __init__(self, partial: Path, final: Path, record: dict[str, Any], keep: int) -> None:
        super().__init__(str(partial), save_distributed=True)
        self._partial, self._final, self._record, self._keep = partial, final, record, keep

    def finish(self, metadata: Any, results: Any) -> None:
        """Called on rank 0 when every rank has written and synchronised its file."""
        write_json(self._partial / FACTS, self._record)
        on_disk(self._partial)
        shutil.rmtree(self._final, ignore_errors=True)
        os.replace(self._partial, self._final)
        on_disk(self._final.parent)
        for old in _by_step(self._final.parent)[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)


def newest_checkpoint(directory: Path) -> Path | None:
    """The complete checkpoint of the highest step, or None."""
    found = _by_step(directory)
    return found[-1] if found else None


def read_facts(path: Path) -> dict[str, Any]:
    """What ``checkpoint.json`` says. Raises UserError when this is no checkpoint of this format."""
    try:
        facts: dict[str, Any] = json.loads((path / FACTS).read_text(encoding="utf-8"))
        found = facts["format"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"cannot be read as a checkpoint ({' '.join(str(error).split())[:150]})", where=path) from None
    if found != FORMAT_VERSION:
        raise UserError(f"a checkpoint of format {found!r}, not {FORMAT_VERSION}", where=path)
    return facts


def stored_tensors(path: Path) -> dict[str, Stored]:
    """Names, shapes and types of what a checkpoint holds, from the headers of its files."""
    try:
        metadata = dcp.HuggingFaceStorageReader(str(path)).read_metadata()
    except Exception as error:  # safetensors raises its own kinds for broken bytes
        raise UserError(f"cannot be read as a checkpoint ({_reason(error)})", where=path) from None
    entries: Mapping[str, Any] = metadata.state_dict_metadata
    return {name: Stored(entry.size, entry.properties.dtype) for name, entry in entries.items()}


def load_into(path: Path, tensors: dict[str, Tensor]) -> None:
    """Fill ``tensors``, whole or sliced, from the checkpoint. All ranks must call it."""
    try:
        dcp.load(tensors, storage_reader=dcp.HuggingFaceStorageReader(str(path)), no_dist=world_size() == 1)
    except (CheckpointException, Exception) as error:
        raise UserError(f"cannot be read as a checkpoint ({_reason(error)})", where=path) from None


def load_checkpoint(path: Path) -> dict[str, Tensor]:
    """Everything a checkpoint holds, whole, in this process's memory."""
    read_facts(path)
    tensors = {name: torch.empty(shape, dtype=dtype) for name, (shape, dtype) in stored_tensors(path).items()}
    load_into(path, tensors)
    return tensors


def _by_step(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name) and (path / FACTS).is_file())


def _fault(error: BaseException) -> BaseException:
    """What DCP wraps: the fault of the first rank that had one."""
    if isinstance(error, CheckpointException) and error.failures:
        return next(iter(error.failures.values()))[0]
    return error


def _reason(error: BaseException) -> str:
    fault = _fault(error)
    return " ".join(str(fault).split())[:150] or type(fault).__name__
