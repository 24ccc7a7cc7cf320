"""``dinov2``: DINOv2's own augmentation, for one channel (2406.09294, "Original"; DINOv2 code).

Crops at random scales; then to each view by itself: flip (p 0.5), brightness and contrast (p 0.8),
blur (p 1.0 / 0.1 / 0.5 for the first global, second global, local), solarize (p 0.2, second global).
Saturation, hue and grayscale have no meaning in one channel. For reproducing the papers: a flipped
chest is another patient (situs inversus), so this is never the default.
"""

from __future__ import annotations

import cv2
import numpy as np

from raydino.data.augment import Image, Views
from raydino.data.augment.crop_resize import CropResize

FLIP_PROBABILITY = 0.5
JITTER_PROBABILITY = 0.8
JITTER_STRENGTH = 0.4
BLUR_PROBABILITY_GLOBALS = (1.0, 0.1)
BLUR_PROBABILITY_LOCAL = 0.5
BLUR_SIGMA_PIXELS = (0.1, 2.0)
SOLARIZE_PROBABILITY = 0.2
SOLARIZE_ABOVE = 128 / 255


class DinoV2(CropResize):
    """Sizes and scales as in ``crop_resize``; the photometric strengths are DINOv2's."""

    def __call__(self, image: Image, rng: np.random.Generator) -> Views:
        views = super().__call__(image, rng)
        first, second = views.global_crops
        changed = (
            _photometric(first, BLUR_PROBABILITY_GLOBALS[0], 0.0, rng),
            _photometric(second, BLUR_PROBABILITY_GLOBALS[1], SOLARIZE_PROBABILITY, rng),
        )
        for index, crop in enumerate(views.local_crops):
            views.local_crops[index] = _photometric(crop, BLUR_PROBABILITY_LOCAL, 0.0, rng)
        return Views(np.stack(changed), views.local_crops)


def _photometric(image: Image, blur: float, solarize: float, rng: np.random.Generator) -> Image:
    """Flip, jitter, blur and solarize with the given probabilities; [1, S, S] in 0..1."""
    if rng.random() < FLIP_PROBABILITY:
        image = image[:, :, ::-1]
    if rng.random() < JITTER_PROBABILITY:
        image = _jitter(image, rng)
    if rng.random() < blur:
        sigma = rng.uniform(*BLUR_SIGMA_PIXELS)
        blurred = cv2.GaussianBlur(np.ascontiguousarray(image[0]), (9, 9), sigma)
        image = np.asarray(blurred, np.float32)[None]
    if rng.random() < solarize:
        image = np.where(image >= SOLARIZE_ABOVE, 1 - image, image)
    return np.ascontiguousarray(image, dtype=np.float32)


def _jitter(image: Image, rng: np.random.Generator) -> Image:
    """Brightness and contrast, each by a factor in 1 ± 0.4, in random order."""
    brightness, contrast = rng.uniform(1 - JITTER_STRENGTH, 1 + JITTER_STRENGTH, size=2)
    for change in rng.permutation(2):
        if change == 0:
            image = np.clip(image * np.float32(brightness), 0, 1)
        else:
            mean = image.mean()
            image = np.clip((image - mean) * np.float32(contrast) + mean, 0, 1)
    return image
