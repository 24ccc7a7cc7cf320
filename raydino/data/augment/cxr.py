"""``cxr``: the policy for chest films: crops at random scales, modest brightness and contrast, nothing else.

What a film shows at another exposure, window or maker is the same finding, so brightness and contrast vary a
little, for each view by itself. The rest of ``original`` destroys what the reader looks for: a flip makes situs
inversus and mirrors the side marker, solarisation turns bone into air, and a blur takes fine lines (a
pneumothorax's edge, interstitial markings) from the very scale at which local crops could show them.

RayDINO (2405.01469) sizes crops for radiographs: globals of 512 and locals of 224 pixels, split at about
15 % of the film's area. The split is the default here; its lower end, 5 %, is DINOv2's. The sizes are options:
``global_size: 512, local_size: 224``, on films ingested at 512 or more. The jitter's strength is half of DINOv2's:
our choice, no paper's; at toy scale no policy differed beyond noise.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from raydino.data.augment.crop_resize import CropResize, Scale
from raydino.data.augment.photometric import draw_tones
from raydino.data.augment.plan import N_GLOBALS, Plan


class Cxr(CropResize):
    """``jitter`` j: brightness and contrast by factors in 1 ± j, p 0.8 a view."""

    global_scale: Scale = (0.15, 1.0)
    local_scale: Scale = (0.05, 0.15)
    jitter: float = Field(default=0.2, ge=0, lt=1)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Plan:
        never = np.zeros(N_GLOBALS + self.n_locals, np.float32)
        tones = draw_tones(rng, jitter=self.jitter, blur=never, solarize=never)
        return super().draw(shape, rng)._replace(tones=tones)
