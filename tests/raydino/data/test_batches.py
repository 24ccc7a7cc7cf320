"""Batches are a function of (seed, step): every film once an epoch, the same from any start."""

import numpy as np
import torch

from raydino.data.augment.crop_resize import CropResize
from raydino.data.batches import StepBatches
from raydino.data.loader import batches
from raydino.data.films import Films
from raydino.testing.tiny import tiny_dataset

POLICY = CropResize(global_size=16, local_size=8, n_locals=3)


def source(films, *, first_step=0, last_step=12, seed=0):
    return StepBatches(films, POLICY, batch_size=4, patch_size=8, seed=seed, first_step=first_step, last_step=last_step)


def test_shapes_and_order_of_crops(tmp_path):
    dataset = tiny_dataset(tmp_path / "d")
    films = Films(dataset, dataset.sample_ids("train"))
    batch = source(films)[0]
    assert batch.global_crops.shape == (8, 1, 16, 16)
    assert batch.local_crops.shape == (12, 1, 8, 8)
    assert batch.masks.shape == (8, 4)
    assert batch.global_crops.dtype == torch.float32
    assert batch.global_crops.min() >= 0
    assert batch.global_crops.max() <= 1


def test_any_start_and_any_workers_give_the_same(tmp_path):
    dataset = tiny_dataset(tmp_path / "d")
    films = Films(dataset, dataset.sample_ids("train"))
    straight = list(batches(source(films), n_workers=0))
    resumed = list(batches(source(films, first_step=7), n_workers=2))
    assert len(straight) == 12
    for one, other in zip(straight[7:], resumed, strict=True):
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(source(films, seed=1)[0].global_crops, straight[0].global_crops)


def test_every_film_once_an_epoch(tmp_path):
    dataset = tiny_dataset(tmp_path / "d")
    films = Films(dataset, dataset.sample_ids("train"))
    n = len(films)
    order = [ShuffledEpochs(len(films), 0).film_at(position) for position in range(3 * n)]
    for epoch in range(3):
        assert sorted(order[epoch * n : (epoch + 1) * n]) == list(range(n))
    assert order[:n] != order[n : 2 * n]
    assert not np.array_equal(order[:n], np.arange(n))
