"""A patch embedding for RGB made one for grey films, exactly.

A grey film x in 0..1 that was copied to three channels and normalised channel by channel meets the
convolution as  Σ_c W_c * (x − m_c)/s_c + b.  With one normalisation u = (x − m)/s, x = s·u + m, this is

    W' * u + b'   with   W' = s · Σ_c W_c/s_c,   b' = b + Σ_c (m − m_c)/s_c · Σ_kernel W_c

for any m and s; the means over the channels are taken, so that u has the scale that the weights know. The
convolution has no padding, therefore the identity holds at the border too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Folded(NamedTuple):
    """weight [D, 1, P, P], bias [D], and the mean and deviation that go with them."""

    weight: Tensor
    bias: Tensor
    mean: float
    std: float


def fold_channels(weight: Tensor, bias: Tensor, mean: Sequence[float], std: Sequence[float]) -> Folded:
    """``weight`` [D, C, P, P] and ``bias`` [D] for films normalised with one value a channel; float64 inside."""
    wide = weight.double()
    mean_C, std_C = (torch.tensor(values, dtype=torch.float64, device=weight.device) for values in (mean, std))
    one_mean, one_std = mean_C.mean(), std_C.mean()
    folded = one_std * (wide / std_C.view(1, -1, 1, 1)).sum(1, keepdim=True)
    shift = (wide.sum((2, 3)) * ((one_mean - mean_C) / std_C)).sum(1)
    return Folded(folded.to(weight.dtype), (bias.double() + shift).to(bias.dtype), float(one_mean), float(one_std))
