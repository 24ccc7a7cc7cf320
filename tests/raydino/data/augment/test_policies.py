"""Augmentation policies: what each may and may not change (papers.md 1.3 and 3.1)."""

import numpy as np
import pytest
import torch

from raydino.config import parse_config
from raydino.data.augment import AUGMENTATIONS
from raydino.data.augment.crop import Crop
from raydino.data.augment.crop_resize import CropResize
from raydino.data.augment.cxr import Cxr
from raydino.data.augment.multicrop import resize, unit_range
from raydino.data.augment.original import Original
from raydino.data.augment.shared import Shared
from raydino.errors import UserError

SIZES = {"global_size": 32, "local_size": 16, "n_locals": 4}
FILM = np.random.default_rng(0).integers(0, 256, (80, 64), np.uint8)
POLICIES = [Original(**SIZES), Shared(**SIZES), CropResize(**SIZES), Crop(shorter_side=64, **SIZES), Cxr(**SIZES)]
PHOTOMETRIC = [POLICIES[0], POLICIES[1], POLICIES[4]]


def kind(policy):
    return type(policy).__name__


def plans(policy, n, shape=(80, 64)):
    return [policy.draw(shape, np.random.default_rng(seed)) for seed in range(n)]


@pytest.mark.parametrize("policy", POLICIES, ids=kind)
def test_views(policy):
    film = FILM.copy()
    views = policy(film, np.random.default_rng(1))
    assert views.global_crops.shape == (2, 1, 32, 32)
    assert views.local_crops.shape == (4, 1, 16, 16)
    assert np.array_equal(film, FILM)  # a cached film must not be changed
    again = policy(film, np.random.default_rng(1))
    assert all(torch.equal(a, b) for a, b in zip(views, again, strict=True))
    assert not torch.equal(views.global_crops, policy(film, np.random.default_rng(2)).global_crops)


@pytest.mark.parametrize("policy", POLICIES, ids=kind)
def test_sixteen_bits_stay_more_than_eight(policy):
    """A film of 256 levels that 8 bits could not tell apart, all within one step of 255; then a wide one."""
    film = np.random.default_rng(1).integers(128 * 257, 129 * 257 - 1, (80, 64), np.uint16)
    for crop in policy(film, np.random.default_rng(0)).global_crops:
        assert len(torch.unique(crop)) > 200
        assert len(torch.unique((crop * 255).round())) <= 4
    wide = np.arange(80 * 64, dtype=np.uint16).reshape(80, 64) * 12
    for crop in policy(wide, np.random.default_rng(0)).global_crops:
        assert len(torch.unique(crop)) > 256


@pytest.mark.parametrize("policy", POLICIES, ids=kind)
def test_who_flips(policy):
    flipped = [plan.flipped for plan in plans(policy, 200)]
    if isinstance(policy, Original | Shared):
        assert 0.4 < np.mean(flipped) < 0.6
        cols = np.tile(np.linspace(80, 120, 64).astype(np.uint8), (80, 1))
        for seed in range(20):
            plan = policy.draw(cols.shape, np.random.default_rng(seed))._replace(tones=None)
            views = policy.render([torch.from_numpy(cols)], [plan])
            falls = [bool(crop[0, 8, -1] < crop[0, 8, 0]) for crops in views for crop in crops]
            assert falls == plan.flipped.tolist()
    else:
        assert flipped == [None] * 200


@pytest.mark.parametrize("policy", POLICIES, ids=kind)
def test_what_is_photometric(policy):
    drawn = [plan.tones for plan in plans(policy, 400)]
    if policy not in PHOTOMETRIC:
        assert drawn == [None] * 400
        return
    brightness, contrast, first, sigma, solarized = (np.stack(field) for field in zip(*drawn, strict=True))
    strength = 0.2 if isinstance(policy, Cxr) else 0.4
    for factor in (brightness, contrast):
        assert 1 - strength <= factor.min() < 1 - 0.9 * strength
        assert 1 + 0.9 * strength < factor.max() <= 1 + strength
        assert np.mean(factor != 1) == pytest.approx(0.8, abs=0.06)
    assert np.array_equal(brightness == 1, contrast == 1)  # jittered together
    assert np.mean(first) == pytest.approx(0.5, abs=0.08)
    rates = {Original: [1.0, 0.1, *[0.5] * 4], Shared: [3.1 / 6] * 6, Cxr: [0.0] * 6}[type(policy)]
    np.testing.assert_allclose(np.mean(sigma > 0, axis=0), rates, atol=0.08)
    if sigma.any():
        assert 0.1 <= sigma[sigma > 0].min() < sigma.max() <= 2.0
    rates = {Original: [0, 0.2, 0, 0, 0, 0], Shared: [0.2 / 6] * 6, Cxr: [0.0] * 6}[type(policy)]
    np.testing.assert_allclose(np.mean(solarized, axis=0), rates, atol=0.06)


def test_shared_is_one_draw_and_original_is_many():
    for plan in plans(POLICIES[1], 50):
        assert all(len(np.unique(field)) == 1 for field in (*plan.tones, plan.flipped))
    assert np.mean([len(np.unique(plan.tones.brightness)) for plan in plans(POLICIES[0], 50)]) > 4
    assert np.mean([len(np.unique(plan.tones.brightness)) for plan in plans(POLICIES[4], 50)]) > 4


def test_shared_changes_equal_crops_equally():
    """With one box for all views, the views of ``shared`` are one picture; those of ``original`` are not."""
    for policy, alike in ((POLICIES[1], True), (POLICIES[0], False)):
        plan = policy.draw(FILM.shape, np.random.default_rng(5))
        plan = plan._replace(boxes=np.tile([[10, 5, 40, 40]], (6, 1)))
        views = policy.render([torch.from_numpy(FILM)], [plan])
        assert torch.equal(*views.global_crops) == alike
        assert all(torch.equal(views.local_crops[0], crop) == alike for crop in views.local_crops[1:])


def test_crop_never_interpolates_after_its_resize():
    policy = POLICIES[3]
    for shape, resized in (
        ((80, 64), (80, 64)),
        (FILM.T.shape, (64, 80)),
        ((200, 100), (128, 64)),
        ((20, 30), (64, 96)),
    ):
        film = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        plan = policy.draw(shape, np.random.default_rng(3))
        assert plan.film_shape == resized
        views = policy.render([torch.from_numpy(film)], [plan])
        whole = resize(unit_range(torch.from_numpy(film)), resized).clamp(0, 1)
        crops = [*views.global_crops, *views.local_crops]
        for (top, left, rows, cols), crop in zip(plan.boxes, crops, strict=True):
            assert (rows, cols) == crop.shape[1:]
            assert torch.equal(crop[0], whole[top : top + rows, left : left + cols])
    assert torch.equal(resize(unit_range(torch.from_numpy(FILM)), (80, 64)), torch.from_numpy(FILM).float() / 255)


def test_radiograph_sizes():
    """RayDINO's 512 and 224, the second below some 15 % of the film's area, the first above (papers.md 2.1)."""
    plan = Cxr(global_size=512, local_size=224, n_locals=8).draw((640, 540), np.random.default_rng(0))
    shares = plan.boxes[:, 2] * plan.boxes[:, 3] / (640 * 540)
    assert (shares[:2] > 0.145).all()
    assert (shares[2:] < 0.155).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("crop", {"shorter_side": 32, "global_size": 64, "local_size": 16}, "do not fit into 32"),
        ("crop_resize", {"global_size": 32, "local_size": 16, "local_scale": [0.5, 0.1]}, "0 < low <= high <= 1"),
        ("original", {"global_size": 32, "local_size": 16, "n_local": 2}, "did you mean 'n_locals'"),
        ("cxr", {"global_size": 32, "local_size": 16, "jitter": 1.0}, "'jitter': Input should be less than 1"),
        ("shared", {"global_size": 32, "local_size": 4}, "'local_size': Input should be greater"),
    ],
)
def test_impossible_options(name, options, message):
    with pytest.raises(UserError, match=message):
        parse_config(options, AUGMENTATIONS.get(name))
