"""Photometric changes against numbers by hand and scipy, in float64."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from raydino.data.augment.photometric import (
    adjust_brightness,
    adjust_contrast,
    apply_tones,
    draw_tones,
    gaussian_blur,
    solarize,
)
from raydino.data.augment.plan import Tones

VIEWS = torch.from_numpy(np.random.default_rng(0).random((3, 1, 16, 16)))
NONE = Tones(
    np.ones(3, np.float32), np.ones(3, np.float32), np.zeros(3, bool), np.zeros(3, np.float32), np.zeros(3, bool)
)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None, None, None]


def test_brightness_by_hand():
    views = torch.tensor([0.0, 0.25, 0.5, 0.9], dtype=torch.float64).view(1, 1, 2, 2)
    assert adjust_brightness(views, column(1.4)).flatten().tolist() == pytest.approx([0.0, 0.35, 0.7, 1.0])
    assert adjust_brightness(views, column(0.6)).flatten().tolist() == pytest.approx([0.0, 0.15, 0.3, 0.54])


def test_contrast_by_hand():
    views = torch.tensor([0.1, 0.3, 0.5, 0.9], dtype=torch.float64).view(1, 1, 2, 2)  # mean 0.45
    assert adjust_contrast(views, column(1.4)).flatten().tolist() == pytest.approx([0.0, 0.24, 0.52, 1.0])
    assert adjust_contrast(views, column(0.6)).flatten().tolist() == pytest.approx([0.24, 0.36, 0.48, 0.72])


@pytest.mark.parametrize("value", [0, 1, 127, 128, 129, 255])
def test_solarize_by_hand(value):
    expected = 255 - value if value >= 128 else value
    view = torch.full((1, 1, 2, 2), value, dtype=torch.uint8).float() / 255
    assert (solarize(view) * 255).flatten().tolist() == pytest.approx([expected] * 4)


def test_blur_equals_scipy():
    """torchvision's kernel: nine taps of exp(-x²/2σ²), normalised; borders mirrored without the edge."""
    sigmas = (0.1, 0.7, 2.0)
    blurred = gaussian_blur(VIEWS, column(*sigmas))
    for view, sigma, result in zip(VIEWS, sigmas, blurred, strict=True):
        expected = gaussian_filter(view[0].numpy(), sigma, radius=4, mode="mirror")
        np.testing.assert_allclose(result[0].numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(blurred[0], VIEWS[0], atol=1e-15)  # sigma 0.1 is all but nothing


def test_order_and_selection():
    """Each view gets its own changes, in DINOv2's order, and the others none."""
    views = VIEWS.clone()
    apply_tones(views, NONE)
    assert torch.equal(views, VIEWS)
    tones = Tones(
        np.array([1.4, 0.6, 1.0], np.float32),
        np.array([0.6, 1.4, 1.0], np.float32),
        np.array([True, False, False]),
        np.array([0.0, 1.5, 0.0], np.float32),
        np.array([False, True, True]),
    )
    apply_tones(views, tones)
    images = VIEWS[:, 0].numpy()
    first = np.clip((images[0] - images[0].mean()) * 0.6 + images[0].mean(), 0, 1)
    np.testing.assert_allclose(views[0, 0], np.clip(first * 1.4, 0, 1), atol=1e-6)
    second = np.clip(images[1] * 0.6, 0, 1)
    second = np.clip((second - second.mean()) * 1.4 + second.mean(), 0, 1)
    second = gaussian_filter(second, 1.5, radius=4, mode="mirror")
    np.testing.assert_allclose(views[1, 0], np.where(second >= 128 / 255, 1 - second, second), atol=1e-6)
    np.testing.assert_allclose(views[2, 0], np.where(images[2] >= 128 / 255, 1 - images[2], images[2]), atol=1e-6)


def test_the_draw_does_not_depend_on_what_comes_out():
    """Every draw takes the same numbers from the generator, so a later draw is not shifted by an earlier one."""
    after = []
    for probability in (0.0, 1.0):
        rng = np.random.default_rng(0)
        draw_tones(rng, jitter=0.4, blur=np.full(3, probability, np.float32), solarize=np.zeros(3, np.float32))
        after.append(rng.random())
    assert after[0] == after[1]
