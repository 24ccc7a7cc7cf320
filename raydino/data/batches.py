"""Pretraining batches as a pure function of (seed, step): order, crops and masks.

Nothing is carried from step to step, so a resumed run needs no data state; any number of worker processes
gives the same batches; and several ranks together hold exactly the batch of one process. A batch exists in two
forms: drawn (films and plans, small) and rendered (views, what the method takes). Neighbour: ``data/loader.py``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from raydino.data.augment import Augmentation
from raydino.data.films import Films, PackedFilms
from raydino.data.masking import Masking, batch_masks
from raydino.data.order import Order, ShuffledEpochs
from raydino.errors import UserError

_VIEWS, _MASKS = 1, 2  # independent streams of random numbers; order.ORDER_STREAM is another
_UNKNOWN = torch.empty(0, dtype=torch.int64)


class Batch(NamedTuple):
    """B films: crops in 0..1, crop-major (all first globals, then all second ones).

    global_crops [2B, 1, S, S], local_crops [L·B, 1, s, s], masks bool [2B, N] of the globals' patches;
    film_indices [B] says which films these are (``Films.sample_ids``), and is empty where nobody knows.
    """

    global_crops: Tensor
    local_crops: Tensor
    masks: Tensor
    film_indices: Tensor = _UNKNOWN


class DrawnBatch(NamedTuple):
    """B films before their views are made: what travels to the device where ``runtime.augment_on`` is device."""

    films: PackedFilms
    plans: tuple[Any, ...]  # the policy's own, one a film
    masks: Tensor
    film_indices: Tensor


class StepBatches(TorchDataset[Batch]):
    """Item ``i`` is the batch of step ``first_step + i``: its share of it, with several ranks.

    ``batch_size`` counts the films of all ranks; rank r has the r-th run of ``batch_size / world_size`` films and
    their masks. A batch may be larger than the data: films then come twice.
    """

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
        masking: Masking = Masking(),
        order: Order | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size % world_size:
            raise UserError(
                f"a batch of {batch_size} films cannot be shared by {world_size} processes",
                remedy=f"set recipe.batch_size to a multiple of {world_size}",
            )
        if augmentation.global_size % patch_size:
            raise UserError(f"global crops of {augmentation.global_size} are no multiple of patch {patch_size}")
        self.augmentation = augmentation
        self._films = films
        self._order = order or ShuffledEpochs(len(films), seed)
        self._batch_size = batch_size
        self._mine = range(rank * batch_size // world_size, (rank + 1) * batch_size // world_size)
        self._grid = augmentation.global_size // patch_size
        self._masking = masking
        self._seed = seed
        self._first_step = first_step
        self._last_step = last_step

    def __len__(self) -> int:
        return self._last_step - self._first_step

    def __getitem__(self, item: int) -> Batch:
        return render(self.drawn(item), self.augmentation)

    def drawn(self, item: int) -> DrawnBatch:
        """The batch before its views are made."""
        if not 0 <= item < len(self):
            raise IndexError(item)
        step = self._first_step + item
        films, plans, indices = [], [], []
        for place in self._mine:
            position = step * self._batch_size + place
            indices.append(self._order.film_at(position))
            films.append(self._films[indices[-1]])
            rng = np.random.default_rng([self._seed, _VIEWS, position])
            rows, cols = films[-1].shape
            plans.append(self.augmentation.draw((rows, cols), rng))
        masks = batch_masks(
            2 * self._batch_size,
            self._grid,
            np.random.default_rng([self._seed, _MASKS, step]),
            self._masking,
            only=[view * self._batch_size + place for view in range(2) for place in self._mine],
        )
        return DrawnBatch(PackedFilms.of(films), tuple(plans), torch.from_numpy(masks), torch.tensor(indices))


def render(drawn: DrawnBatch, augmentation: Augmentation, device: torch.device | None = None) -> Batch:
    """Make the views, on ``device`` (where the films are, when None); the same on any to about 1e-5."""
    films, masks, indices = drawn.films, drawn.masks, drawn.film_indices
    if device is not None:
        films = films._replace(pixels=films.pixels.to(device, non_blocking=True))
        masks, indices = (tensor.to(device, non_blocking=True) for tensor in (masks, indices))
    views = augmentation.render(films.unpack(), drawn.plans)
    return Batch(views.global_crops, views.local_crops, masks, indices)
