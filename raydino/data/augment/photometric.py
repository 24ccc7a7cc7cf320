"""Brightness, contrast, blur and solarisation of views, drawn and applied (DINOv2 code, data/augmentations.py).

DINOv2 does these on RGB: ColorJitter(brightness 0.4, contrast 0.4, saturation 0.2, hue 0.1) with p 0.8,
grayscale with p 0.2, a Gaussian blur of 9 taps with sigma 0.1..2, solarisation from 128 of 255 up. A film
has one channel, which is an RGB image with R = G = B: there saturation, hue and grayscale change nothing,
and the order of the jitter's four operations comes down to whether contrast stands before brightness.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from raydino.data.augment.plan import Flags, Floats, Tones

JITTER_PROBABILITY = 0.8
BLUR_RADIUS_PIXELS = 4
BLUR_SIGMA_PIXELS = (0.1, 2.0)
SOLARIZED_FROM = 128 / 255


def draw_tones(rng: np.random.Generator, *, jitter: float, blur: Floats, solarize: Floats) -> Tones:
    """An independent draw for each of V views; ``blur`` and ``solarize`` are their probabilities, [V].

    Brightness and contrast are uniform in 1 ± ``jitter``.
    """
    n = len(blur)
    jittered = rng.random(n) < JITTER_PROBABILITY
    brightness, contrast = np.where(jittered, rng.uniform(1 - jitter, 1 + jitter, (2, n)), 1.0).astype(np.float32)
    sigma = np.where(rng.random(n) < blur, rng.uniform(*BLUR_SIGMA_PIXELS, n), 0.0).astype(np.float32)
    return Tones(brightness, contrast, rng.random(n) < 0.5, sigma, rng.random(n) < solarize)


def apply_tones(views: Tensor, tones: Tones) -> None:
    """Change views [V, 1, S, S] in 0..1 in place, in DINOv2's order: jitter, blur, solarisation."""
    contrasted = tones.contrast != 1
    _change(views, contrasted & tones.contrast_first, adjust_contrast, tones.contrast)
    _change(views, tones.brightness != 1, adjust_brightness, tones.brightness)
    _change(views, contrasted & ~tones.contrast_first, adjust_contrast, tones.contrast)
    _change(views, tones.blur_sigma > 0, gaussian_blur, tones.blur_sigma)
    _change(views, tones.solarized, solarize)


def adjust_brightness(views: Tensor, factor: Tensor) -> Tensor:
    """Scale the values."""
    return (views * factor).clamp_(0, 1)


def adjust_contrast(views: Tensor, factor: Tensor) -> Tensor:
    """Scale the distance of the values from their mean over each view."""
    return torch.lerp(views.mean(dim=(1, 2, 3), keepdim=True), views, factor).clamp_(0, 1)


def solarize(views: Tensor) -> Tensor:
    """Invert what is bright."""
    return torch.where(views >= SOLARIZED_FROM, 1 - views, views)


def gaussian_blur(views: Tensor, sigma: Tensor) -> Tensor:
    """Nine taps of a Gaussian whose ``sigma`` is each view's own, borders mirrored.

    A sum of shifted views instead of a convolution: TF32 and autocast do not touch it.
    """
    radius, size = BLUR_RADIUS_PIXELS, views.shape[-1]
    taps = [torch.exp(-0.5 * (distance / sigma) ** 2) for distance in range(radius + 1)]
    total = taps[0] + 2 * sum(taps[1:])
    padded = F.pad(views, (radius,) * 4, mode="reflect")
    for dim in (2, 3):
        blurred = padded.narrow(dim, radius, size) * (taps[0] / total)
        for distance in range(1, radius + 1):
            pair = padded.narrow(dim, radius - distance, size) + padded.narrow(dim, radius + distance, size)
            blurred.addcmul_(pair, taps[distance] / total)
        padded = blurred
    return padded


def _change(views: Tensor, chosen: Flags, change: Callable[..., Tensor], *factors: Floats) -> None:
    """``change`` the chosen views, given their factors as [n, 1, 1, 1]."""
    rows = np.flatnonzero(chosen)
    if len(rows) == 0:
        return
    index = torch.from_numpy(rows).to(views.device)
    columns = [torch.from_numpy(factor[rows]).to(views)[:, None, None, None] for factor in factors]
    views[index] = change(views[index], *columns)
