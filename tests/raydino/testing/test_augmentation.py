"""The check of augmentation policies passes ours and finds what is wrong with others."""

import numpy as np
import pytest
import torch

from raydino.config import parse_config
from raydino.data.augment import AUGMENTATIONS, Views
from raydino.data.augment.crop_resize import CropResize
from raydino.testing.augmentation import check_augmentation

SIZES = {"global_size": 32, "local_size": 16, "n_locals": 3}


@pytest.mark.parametrize("name", ["original", "shared", "crop_resize", "crop", "cxr"])
def test_ours_pass(name):
    options = SIZES | ({"shorter_side": 40} if name == "crop" else {})
    check_augmentation(parse_config(options, AUGMENTATIONS.get(name)))


def test_no_locals():
    check_augmentation(CropResize(global_size=32, local_size=16, n_locals=0))


class Unseeded(CropResize):
    def draw(self, shape, rng):
        return super().draw(shape, np.random.default_rng())


class Fixed(CropResize):
    def draw(self, shape, rng):
        return super().draw(shape, np.random.default_rng(0))


class Outside(CropResize):
    def render(self, films, plans):
        return Views(*(2 * crops for crops in super().render(films, plans)))


class OfTheBatch(CropResize):
    def render(self, films, plans):
        return Views(*(crops / crops.max().clamp_min(1e-3) for crops in super().render(films, plans)))


class FilmMajor(CropResize):
    def render(self, films, plans):
        each = [super(FilmMajor, self).render([film], [plan]) for film, plan in zip(films, plans, strict=True)]
        return Views(*(torch.cat(crops) for crops in zip(*each, strict=True)))


class Double(CropResize):
    def render(self, films, plans):
        return Views(*(crops.double() for crops in super().render(films, plans)))


class Unpickled(CropResize):
    def draw(self, shape, rng):
        return lambda: super().draw(shape, rng)


class Scribbler(CropResize):
    def render(self, films, plans):
        views = super().render(films, plans)
        for film in films:
            film[0, 0] = 7 if film[0, 0] != 7 else 8
        return views


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        (Unseeded, "depend on the batch|draws from something else"),
        (Fixed, "whatever the generator"),
        (Outside, "outside 0..1"),
        (OfTheBatch, "depend on the batch"),
        (FilmMajor, "not crop-major"),
        (Double, "float64, not float32"),
        (Scribbler, "changes the film"),
    ],
)
def test_faults_are_found(policy, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_augmentation(policy(**SIZES))


def test_a_plan_that_cannot_travel():
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        check_augmentation(Unpickled(**SIZES))
