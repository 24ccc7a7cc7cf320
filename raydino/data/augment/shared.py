"""``shared``: the photometric changes of ``original``, in one draw for all views of a film (2406.09294, "Shared").

Views of a film differ by their crops alone, so nothing teaches invariance to the changes; they only make
more films out of few. The flip is shared as well. What was read of the paper does not say how probabilities that
differ between views become one: here an operation has its average over the views of ``original``, so that a view
picked at random is changed as often as there.
"""

from __future__ import annotations

import numpy as np

from raydino.data.augment.crop_resize import CropResize
from raydino.data.augment.original import FLIP_PROBABILITY, JITTER, photometric_probabilities
from raydino.data.augment.photometric import draw_tones
from raydino.data.augment.plan import Plan


class Shared(CropResize):
    """Sizes and scales as in ``crop_resize``; the photometric strengths are DINOv2's."""

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Plan:
        blur, solarize = photometric_probabilities(self.n_locals)
        flipped = rng.random(1) < FLIP_PROBABILITY
        one = draw_tones(rng, jitter=JITTER, blur=blur.mean(keepdims=True), solarize=solarize.mean(keepdims=True))
        n = len(blur)
        return super().draw(shape, rng)._replace(flipped=flipped.repeat(n), tones=one.repeated(n))
