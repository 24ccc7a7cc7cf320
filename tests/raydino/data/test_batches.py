"""Batches are a function of (seed, step): the same from any start, by any workers, and shared among ranks."""

import numpy as np
import pytest
import torch

from raydino.data.augment.crop_resize import CropResize
from raydino.data.augment.original import Original
from raydino.data.batches import StepBatches, render
from raydino.data.films import Films
from raydino.data.masking import Masking
from raydino.data.order import ShuffledEpochs
from raydino.errors import UserError
from raydino.testing.tiny import tiny_dataset

POLICY = CropResize(global_size=16, local_size=8, n_locals=3)


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Films:
    dataset = tiny_dataset(tmp_path_factory.mktemp("data") / "d")
    return Films(dataset, dataset.sample_ids("train"))


def source(films, policy=POLICY, *, batch_size=4, patch_size=8, seed=0, first_step=0, last_step=12, **options):
    return StepBatches(
        films,
        policy,
        batch_size=batch_size,
        patch_size=patch_size,
        seed=seed,
        first_step=first_step,
        last_step=last_step,
        **options,
    )


def test_shapes_and_order_of_crops(films):
    batch = source(films)[0]
    assert batch.global_crops.shape == (8, 1, 16, 16)
    assert batch.local_crops.shape == (12, 1, 8, 8)
    assert batch.masks.shape == (8, 4)
    assert batch.masks.dtype == torch.bool
    assert batch.global_crops.dtype == torch.float32
    assert batch.film_indices.tolist() == [ShuffledEpochs(len(films), 0).film_at(i) for i in range(4)]


def test_crops_are_of_the_film_that_is_told(films):
    """Film i of the batch has rows i, i + B of the globals and i, i + B, i + 2B of the locals."""
    given = source(films)
    batch, drawn = given[2], given.drawn(2)
    for row, index in enumerate(batch.film_indices.tolist()):
        views = POLICY.render([torch.from_numpy(films[index].copy())], [drawn.plans[row]])
        assert torch.equal(batch.global_crops[row::4], views.global_crops)
        assert torch.equal(batch.local_crops[row::4], views.local_crops)


def test_it_ends(films):
    assert len(list(source(films, first_step=9))) == 3
    with pytest.raises(IndexError):
        source(films)[12]


def test_seeds_and_steps_differ(films):
    first = source(films)[0]
    assert torch.equal(first.global_crops, source(films)[0].global_crops)
    assert not torch.equal(first.global_crops, source(films, seed=1)[0].global_crops)
    assert not torch.equal(first.global_crops, source(films)[1].global_crops)
    for one, other in zip(source(films)[7], source(films, first_step=7)[0], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_together_hold_the_batch_of_one(films, world_size):
    policy = Original(global_size=32, local_size=16, n_locals=3)
    whole = source(films, policy)[5]
    parts = [source(films, policy, rank=rank, world_size=world_size)[5] for rank in range(world_size)]
    for name, n_views in (("global_crops", 2), ("local_crops", 3), ("masks", 2), ("film_indices", 1)):
        by_view = [getattr(part, name).unflatten(0, (n_views, 4 // world_size)) for part in parts]
        assert torch.equal(torch.cat(by_view, dim=1).flatten(0, 1), getattr(whole, name)), name
    assert whole.masks.any()


def test_no_masks_for_distillation(films):
    assert not source(films, masking=Masking(probability=0.0))[0].masks.any()
    assert source(films, masking=Masking(probability=1.0))[0].masks.any(dim=1).all()


def test_another_order(films):
    """What a weighted sampler will be: any function from position to film."""

    class Every:
        def film_at(self, position):
            return position % 3

    assert source(films, order=Every())[1].film_indices.tolist() == [1, 2, 0, 1]


def test_a_batch_larger_than_the_data_repeats_films(films):
    n = len(films)
    assert sorted(source(films, batch_size=2 * n)[0].film_indices.tolist()) == sorted([*range(n), *range(n)])


def test_rendering_on_a_device_gives_the_same(films):
    given = source(films)
    for one, other in zip(given[3], render(given.drawn(3), POLICY, torch.device("cpu")), strict=True):
        assert torch.equal(one, other)


def test_pinned_batches_render_alike(films, monkeypatch):
    """PyTorch's pinning rebuilds a batch and makes lists of its tuples."""
    from torch.utils.data._utils.pin_memory import pin_memory

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *_: tensor)
    policy = Original(global_size=32, local_size=16, n_locals=3)
    drawn = source(films, policy).drawn(0)
    for one, other in zip(render(drawn, policy), render(pin_memory(drawn), policy), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"world_size": 3}, "a batch of 4 films cannot be shared by 3 processes; set recipe.batch_size to a multiple"),
        ({"patch_size": 7}, "global crops of 16 are no multiple of patch 7"),
    ],
)
def test_impossible_batches(films, options, message):
    with pytest.raises(UserError, match=message):
        source(films, **options)


def test_no_films(films, tmp_path):
    dataset = tiny_dataset(tmp_path / "d")
    with pytest.raises(UserError, match="there is no film to train on"):
        source(Films(dataset, []))


def test_blank_films_give_blank_views(films, monkeypatch):
    monkeypatch.setattr(Films, "__getitem__", lambda *_: np.zeros((20, 30), np.uint8))
    batch = source(films)[0]
    assert not batch.global_crops.any()
    assert torch.isfinite(batch.local_crops).all()
