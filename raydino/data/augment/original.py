"""``original``: DINOv2's own augmentation (2406.09294, "Original"; DINOv2 code, data/augmentations.py).

Crops at random scales; then to each view by itself: flip (p 0.5), brightness and contrast (p 0.8),
blur (p 1.0 / 0.1 / 0.5 for the first global, second global, local), solarize (p 0.2, second global).
For reproducing the papers: a flipped chest is another patient (situs inversus), and solarisation another modality;
the policy for chest films is ``cxr``.
"""

from __future__ import annotations

import numpy as np

from raydino.data.augment.crop_resize import CropResize
from raydino.data.augment.photometric import draw_tones
from raydino.data.augment.plan import Floats, Plan

FLIP_PROBABILITY = 0.5
JITTER = 0.4
BLUR_PROBABILITIES = (1.0, 0.1)  # of the globals
LOCAL_BLUR_PROBABILITY = 0.5
SOLARIZE_PROBABILITIES = (0.0, 0.2)  # of the globals


class Original(CropResize):
    """Sizes and scales as in ``crop_resize``; the photometric strengths are DINOv2's."""

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Plan:
        blur, solarize = photometric_probabilities(self.n_locals)
        flipped = rng.random(len(blur)) < FLIP_PROBABILITY
        tones = draw_tones(rng, jitter=JITTER, blur=blur, solarize=solarize)
        return super().draw(shape, rng)._replace(flipped=flipped, tones=tones)


def photometric_probabilities(n_locals: int) -> tuple[Floats, Floats]:
    """The probabilities of blur and of solarisation of each view, globals first."""
    blur = (*BLUR_PROBABILITIES, *[LOCAL_BLUR_PROBABILITY] * n_locals)
    solarize = (*SOLARIZE_PROBABILITIES, *[0.0] * n_locals)
    return np.array(blur, np.float32), np.array(solarize, np.float32)
