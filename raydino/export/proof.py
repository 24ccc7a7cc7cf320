"""The proof of every export: other code gives the same tokens for the same films, or nothing is written."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from raydino.encoder import Encoder

TOLERANCE = 1e-5  # of the largest token
BATCHES = (1, 2, 5)  # numbers of films

Run = Callable[[Tensor], dict[str, Tensor]]  # films [B, 1, S, S] in 0..1 → tokens by the names of EncoderOutput


@torch.no_grad()
def largest_difference(encoder: Encoder, run: Run) -> float:
    """Of any token between ``encoder`` and ``run`` on fixed random films, relative to the largest token (or to 1).

    Raises RuntimeError above ``TOLERANCE``.
    """
    side, worst = encoder.spec.image_size, 0.0
    for n_films in BATCHES:
        images = torch.rand(n_films, 1, side, side, generator=torch.Generator().manual_seed(n_films))
        found = run(images)
        for name, expected in encoder(images)._asdict().items():
            if not expected.numel():  # no registers
                continue
            if found[name].shape != expected.shape:
                raise RuntimeError(f"the export gives {name} of another shape; nothing was exported")
            scale = max(1.0, float(expected.abs().max()))
            difference = float((found[name] - expected).abs().max()) / scale
            if not difference <= TOLERANCE:  # NaN fails too
                raise RuntimeError(f"the export gives other {name} (off by {difference:.2g}); nothing was exported")
            worst = max(worst, difference)
    return worst
