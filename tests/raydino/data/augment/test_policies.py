"""Augmentation policies: what each may and may not change."""

import numpy as np
import pytest

from raydino.config import parse_config
from raydino.data.augment import AUGMENTATIONS
from raydino.data.augment.crop import Crop
from raydino.data.augment.crop_resize import CropResize
from raydino.data.augment.dinov2 import DinoV2
from raydino.errors import UserError

FILM = np.random.default_rng(0).random((1, 80, 64), dtype=np.float32)
POLICIES = [
    Crop(shorter_side=64, global_size=32, local_size=16, n_locals=4),
    CropResize(global_size=32, local_size=16, n_locals=4),
    DinoV2(global_size=32, local_size=16, n_locals=4),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_views(policy):
    film = FILM.copy()
    views = policy(film, np.random.default_rng(1))
    assert views.global_crops.shape == (2, 1, 32, 32)
    assert views.local_crops.shape == (4, 1, 16, 16)
    for crops in views:
        assert crops.dtype == np.float32
        assert crops.min() >= 0
        assert crops.max() <= 1
    assert np.array_equal(film, FILM)  # a cached film must not be changed
    again = policy(film, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(views, again, strict=True))
    other = policy(film, np.random.default_rng(2))
    assert not np.array_equal(views.global_crops, other.global_crops)


def test_crop_takes_pixels_as_they_lie():
    """A film whose pixels say where they are: every crop is an exact, unscaled, upright window."""
    rows, cols = np.mgrid[:64, :64].astype(np.float32) / 64
    for channel, (down, right) in ((rows, (1, 0)), (cols, (0, 1))):
        views = POLICIES[0](channel[None], np.random.default_rng(3))
        for crop in (*views.global_crops, *views.local_crops):
            np.testing.assert_allclose(np.diff(crop[0], axis=0), down / 64, atol=1e-6)
            np.testing.assert_allclose(np.diff(crop[0], axis=1), right / 64, atol=1e-6)


def test_crop_resize_covers_the_wanted_share():
    cols = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))[None]
    policy = CropResize(global_size=32, local_size=16, n_locals=1, global_scale=(0.5, 0.5), local_scale=(0.1, 0.1))
    rng = np.random.default_rng(0)
    widths = [policy(cols, rng).local_crops[0] for _ in range(200)]
    spans = np.array([crop.max() - crop.min() for crop in widths])
    assert np.sqrt(0.1 * 3 / 4) - 0.08 <= spans.min()
    assert spans.max() <= np.sqrt(0.1 * 4 / 3) + 0.02


def test_dinov2_flips_half_of_its_views():
    cols = np.tile(np.linspace(0.2, 0.4, 64, dtype=np.float32), (64, 1))[None]
    policy, rng = POLICIES[2], np.random.default_rng(0)
    slopes = [crop[0, 8, -1] - crop[0, 8, 0] for _ in range(100) for crop in policy(cols, rng).local_crops]
    assert 0.4 < np.mean(np.array(slopes) < 0) < 0.6


@pytest.mark.parametrize("policy", POLICIES[:2], ids=lambda p: type(p).__name__)
def test_the_others_never_flip(policy):
    cols = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))[None]
    rng = np.random.default_rng(0)
    assert all(crop[0, 8, -1] > crop[0, 8, 0] for _ in range(50) for crop in policy(cols, rng).global_crops)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("crop", {"shorter_side": 32, "global_size": 64, "local_size": 16}, "do not fit into 32"),
        ("crop_resize", {"global_size": 32, "local_size": 16, "local_scale": [0.5, 0.1]}, "0 < low <= high <= 1"),
        ("dinov2", {"global_size": 32, "local_size": 16, "n_local": 2}, "did you mean 'n_locals'"),
    ],
)
def test_impossible_options(name, options, message):
    with pytest.raises(UserError, match=message):
        parse_config(options, AUGMENTATIONS.get(name))
