"""From plan to pixels: interpolation against PIL and float64, batches against single films, devices."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from raydino.data.augment.crop_resize import CropResize
from raydino.data.augment.multicrop import resize, unit_range
from raydino.data.augment.original import Original
from raydino.data.augment.plan import Plan

RNG = np.random.default_rng(0)


def smooth(rows, cols):
    """Something like a film: cosines that no interpolation strains."""
    y, x = np.mgrid[:rows, :cols]
    return 0.5 + 0.25 * np.cos(y / 7) + 0.2 * np.sin(x / 5)


@pytest.mark.parametrize(("shape", "size"), [((90, 70), 32), ((20, 31), 32), ((33, 200), 48), ((1, 1), 16)])
def test_views_equal_pil_on_the_box(shape, size):
    """PIL's bicubic of the box alone, as DINOv2 runs it, but in float."""
    film = np.pad(RNG.random(shape, np.float32), ((5, 9), (7, 3)))
    plan = Plan(film.shape, np.array([[5, 7, *shape]] * 2))
    policy = CropResize(global_size=size, local_size=8, n_locals=0)
    views = policy.render([torch.from_numpy(film)], [plan])
    box = Image.fromarray(film[5 : 5 + shape[0], 7 : 7 + shape[1]]).resize((size, size), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(views.global_crops[1, 0], np.clip(np.asarray(box), 0, 1), atol=2e-5)


@pytest.mark.parametrize(("shape", "target"), [((120, 90), (32, 32)), ((20, 31), (64, 64)), ((64, 50), (50, 39))])
def test_float32_equals_float64(shape, target):
    image = torch.from_numpy(smooth(*shape))
    exact = F.interpolate(image[None, None], size=target, mode="bicubic", antialias=True)[0, 0]
    torch.testing.assert_close(resize(image.float(), target).double(), exact, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_unit_range(dtype, top):
    film = torch.from_numpy(np.array([[0, 1, top]], dtype))
    assert unit_range(film).tolist() == [[0.0, pytest.approx(1 / top), 1.0]]
    half = torch.tensor([[0.5]], dtype=torch.float64)
    assert unit_range(half) is half


def test_overshoot_is_clipped():
    film = np.zeros((16, 16), np.uint8)
    film[:, 8:] = 255
    views = CropResize(global_size=32, local_size=8, n_locals=0).render(
        [torch.from_numpy(film)], [Plan((16, 16), np.array([[0, 0, 16, 16]] * 2))]
    )
    assert views.global_crops.min() == 0
    assert views.global_crops.max() == 1


def batch():
    policy = Original(global_size=32, local_size=16, n_locals=3)
    shapes = [(80, 64), (64, 80), (50, 120), (20, 24)]
    films = [torch.from_numpy(RNG.integers(0, 65536, shape, np.uint16)) for shape in shapes]
    return policy, films, [policy.draw(shape, np.random.default_rng(i)) for i, shape in enumerate(shapes)]


def test_a_batch_is_its_films_crop_major():
    policy, films, plans = batch()
    together = policy.render(films, plans)
    assert together.global_crops.shape == (8, 1, 32, 32)
    assert together.local_crops.shape == (12, 1, 16, 16)
    for i, (film, plan) in enumerate(zip(films, plans, strict=True)):
        alone = policy.render([film], [plan])
        for all_views, views in zip(together, alone, strict=True):
            torch.testing.assert_close(all_views[i::4], views, atol=1e-6, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_accelerator_gives_the_same():
    policy, films, plans = batch()
    films = [torch.from_numpy((smooth(*film.shape) * 65535).astype(np.uint16)) for film in films]
    here = policy.render(films, plans)
    there = policy.render([film.cuda() for film in films], plans)
    for one, other in zip(here, there, strict=True):
        assert other.is_cuda
        torch.testing.assert_close(one, other.cpu(), atol=1e-5, rtol=0)
