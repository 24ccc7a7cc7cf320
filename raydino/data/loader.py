"""Batches made ahead by worker processes, and their last step to the device.

Workers decode and draw. They also make the views (``augment_on="workers"``), or leave that to the accelerator
(``"device"``: for few cores or large crops). Then only films and plans travel: half of the bytes of 224 and 98 pixel
crops from films of 512, an eighth of those of 512 and 224 from 640 (benchmarks/loader.py). The views are the same
to about 1e-5.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import cv2
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from raydino.data.batches import Batch, DrawnBatch, StepBatches, render
from raydino.errors import UserError
from raydino.processes import END_SIGNALS

AugmentOn = Literal["workers", "device"]
CPU = torch.device("cpu")
_GRACE_S = 300  # that a worker lives after SIGTERM, unless the main process ends it: a step and a checkpoint


def batches(
    source: StepBatches, *, n_workers: int, device: torch.device = CPU, augment_on: AugmentOn = "workers"
) -> Generator[Batch]:
    """The batches of ``source`` in order, on ``device``, made ahead by ``n_workers`` processes (0: in this one).

    Close the iterator to end the workers. Two batches a worker, and at least four, are on their way: mind the memory
    of large crops.
    Raises UserError where a film cannot be read or a worker dies.
    """
    if n_workers:
        cv2.setNumThreads(1)  # before the fork: OpenCV's threads do not come along, and a child would wait for them
    loader = DataLoader(
        _Made(source, augment_on),
        batch_size=None,
        num_workers=n_workers,
        prefetch_factor=max(2, -(-4 // n_workers)) if n_workers else None,
        pin_memory=device.type == "cuda",
        collate_fn=_as_it_is,
        worker_init_fn=_start_worker,
        multiprocessing_context="fork" if n_workers and sys.platform == "linux" else None,  # shares the films' cache
        generator=torch.Generator(),  # unused, but keeps the loader from drawing on the global one
    )

    def finished() -> Iterator[Batch]:
        for made in _started(loader):
            if isinstance(made, _Fault):
                raise UserError(made.what, where=made.where, remedy=made.remedy)
            if isinstance(made, DrawnBatch):
                yield render(made, source.augmentation, device)
            else:
                yield Batch(*(tensor.to(device, non_blocking=True) for tensor in made))

    with explaining_dead_workers():
        yield from _ahead_on_a_stream(finished(), device) if device.type == "cuda" else finished()


@contextmanager
def explaining_dead_workers() -> Iterator[None]:
    """Turn PyTorch's report of a dead loader worker into a UserError.

    It may come anywhere in the main process, because a signal brings it: put training itself inside.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            f"a process that loads films has died ({' '.join(str(error).split())[:200]})",
            remedy="most often memory ran out: lower runtime.n_workers or recipe.batch_size, set runtime.augment_on="
            "device, or give the container more shared memory; continue with --resume",
        ) from error


class _Fault(NamedTuple):
    """A UserError on its way out of a worker; PyTorch would wrap the exception into its traceback."""

    what: str
    where: str | None
    remedy: str | None


class _Made(TorchDataset["Batch | DrawnBatch | _Fault"]):
    """What a worker makes of an item."""

    def __init__(self, source: StepBatches, augment_on: AugmentOn) -> None:
        self._source, self._augment_on = source, augment_on

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, item: int) -> Batch | DrawnBatch | _Fault:
        try:
            return self._source.drawn(item) if self._augment_on == "device" else self._source[item]
        except UserError as error:
            return _Fault(error.what, error.where, error.remedy)


def _ahead_on_a_stream(batches_: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """One batch ahead, on a stream of its own, so that copies and views overlap with training."""
    side = torch.cuda.Stream(device)
    ahead: Batch | None = None
    while True:
        training = torch.cuda.current_stream(device)
        if ahead is not None:
            training.wait_stream(side)
            for tensor in ahead:
                tensor.record_stream(training)
        with torch.cuda.stream(side):
            following = next(batches_, None)
        if ahead is not None:
            yield ahead
        if following is None:
            return
        ahead = following


def _started(loader: DataLoader[Any]) -> Iterator[Any]:
    """Its iterator, with workers that hold signals to the group back until they know what to do with them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(_: int) -> None:
    # ``timeout``, SLURM and a terminal signal the whole group: the main process ends with a checkpoint, and its
    # workers have to live until it is done with them.
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_GRACE_S))  # SIGALRM ends the worker
    signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)


def _as_it_is(made: object) -> object:
    return made
