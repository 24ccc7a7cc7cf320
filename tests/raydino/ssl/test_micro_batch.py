"""Cutting a batch by films keeps each part crop-major."""

import pytest
import torch

from raydino.data.batches import Batch
from raydino.ssl.micro_batch import split_films


def batch(n_films: int, n_locals: int) -> Batch:
    """Crop c of film f is filled with 10 c + f."""
    numbers = torch.tensor([10.0 * c + f for c in range(2) for f in range(n_films)])
    local = torch.tensor([10.0 * c + f for c in range(n_locals) for f in range(n_films)])
    masks = torch.zeros(2 * n_films, 4, dtype=torch.bool)
    masks[torch.arange(2 * n_films), torch.arange(2 * n_films) % 4] = True
    return Batch(numbers.view(-1, 1, 1, 1), local.view(-1, 1, 1, 1), masks)


def test_each_part_is_crop_major():
    first, second = split_films(batch(5, 3), 3)
    assert first.global_crops.flatten().tolist() == [0, 1, 2, 10, 11, 12]
    assert second.global_crops.flatten().tolist() == [3, 4, 13, 14]
    assert first.local_crops.flatten().tolist() == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert second.local_crops.flatten().tolist() == [3, 4, 13, 14, 23, 24]
    assert torch.equal(second.masks, batch(5, 3).masks[[3, 4, 8, 9]])


@pytest.mark.parametrize("films", [None, 5, 9])
def test_one_part(films):
    given = batch(5, 3)
    (part,) = split_films(given, films)
    assert part is given


def test_no_local_crops():
    parts = split_films(batch(4, 0), 2)
    assert [part.local_crops.shape[0] for part in parts] == [0, 0]
