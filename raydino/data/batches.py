"""Pretraining batches as a pure function of (seed, step): order, crops and masks.

Nothing is carried from step to step, so a resumed run needs no data state, and any number of worker
processes gives the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from raydino.data.augment import Augmentation
from raydino.data.films import Films, unit_range
from raydino.data.masking import batch_masks

_ORDER, _VIEWS, _MASKS = range(3)  # independent streams of random numbers


class Batch(NamedTuple):
    """B films: crops in 0..1, crop-major (all first globals, then all second ones).

    global_crops [2B, 1, S, S], local_crops [L·B, 1, s, s], masks bool [2B, N] of the globals' patches.
    """

    global_crops: Tensor
    local_crops: Tensor
    masks: Tensor


class StepBatches(TorchDataset[Batch]):
    """Item ``i`` is the batch of step ``first_step + i``."""

    def __init__(
        self,
        films: Films,
        augmentation: Augmentation,
        *,
        batch_size: int,
        patch_size: int,
        seed: int,
        first_step: int,
        last_step: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._films = films
        self._augmentation = augmentation
        self._batch_size = batch_size
        self._grid = augmentation.global_size // patch_size
        self._seed = seed
        self._first_step = first_step
        self._last_step = last_step
        share = batch_size // world_size
        self._mine = slice(rank * share, (rank + 1) * share)  # places in the batch of all ranks

    def __len__(self) -> int:
        return self._last_step - self._first_step

    def __getitem__(self, item: int) -> Batch:
        step = self._first_step + item
        first = step * self._batch_size
        views = []
        for position in range(first + self._mine.start, first + self._mine.stop):
            rng = np.random.default_rng([self._seed, _VIEWS, position])
            views.append(self._augmentation(unit_range(self._films[self._film_at(position)])[None], rng))
        global_crops = np.stack([v.global_crops for v in views], axis=1)
        local_crops = np.stack([v.local_crops for v in views], axis=1)
        rng = np.random.default_rng([self._seed, _MASKS, step])
        masks = batch_masks(2 * self._batch_size, self._grid, rng)
        masks = masks.reshape(2, self._batch_size, -1)[:, self._mine].reshape(2 * len(views), -1)
        return Batch(
            torch.from_numpy(global_crops.reshape(-1, *global_crops.shape[2:])),
            torch.from_numpy(local_crops.reshape(-1, *local_crops.shape[2:])),
            torch.from_numpy(masks),
        )

    def _film_at(self, position: int) -> int:
        """The film at a position of the endless sequence of shuffled epochs."""
        epoch, place = divmod(position, len(self._films))
        return int(_shuffled(len(self._films), self._seed, epoch)[place])


@lru_cache(maxsize=4)
def _shuffled(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order of an epoch."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(n)


def batches(source: StepBatches, *, n_workers: int) -> Iterator[Batch]:
    """The batches of ``source`` in order, made ahead by ``n_workers`` processes (0: in this one)."""
    loader = DataLoader(
        source,
        batch_size=None,
        num_workers=n_workers,
        prefetch_factor=4 if n_workers else None,
        generator=torch.Generator(),  # unused, but keeps the loader from drawing on the global one
    )
    return iter(loader)
