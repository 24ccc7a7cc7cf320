"""Cross-entropy between a teacher's targets and a student's prototype scores, without large intermediates.

DINO (2104.14294). With 65,536 prototypes a score matrix of some hundred rows is larger than any cache, and
each of the usual steps (widen, divide, log-softmax, multiply, sum) is a walk through memory. Here a few rows at a
time go through all steps, forwards and backwards, and only the log of each row's partition sum is kept:

    CE = Σt · lse(z / T) - Σ t·z / T        dCE/dz = (Σt · softmax(z / T) - t) / T
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

# A part of this many values in float32 (2 MiB on a CPU) stays in cache; a GPU wants enough work for a kernel.
_VALUES_AT_ONCE = {"cpu": 2**19, "cuda": 2**26}


def cross_entropy(targets: Tensor, student_scores: Tensor, *, student_temperature: float = 0.1) -> Tensor:
    """-Σ targets · log softmax(scores / T) over the last dimension; the scores' other dimensions stay.

    float32 (float64 for float64 scores) inside and out, whatever autocast does around it. The targets are spread
    over the scores' leading dimensions; they need not sum to 1, and get no gradient.
    """
    shape = student_scores.shape
    targets_NK = targets.detach().expand(shape).reshape(-1, shape[-1])
    loss: Tensor = _CrossEntropy.apply(targets_NK, student_scores.reshape(-1, shape[-1]), student_temperature)
    return loss.view(shape[:-1])


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, targets_NK: Tensor, scores_NK: Tensor, temperature: float) -> Tensor:
        dtype = torch.float64 if scores_NK.dtype == torch.float64 else torch.float32
        log_sums_N = scores_NK.new_empty(len(scores_NK), dtype=dtype)
        mass_N, loss_N = torch.empty_like(log_sums_N), torch.empty_like(log_sums_N)
        for rows in _parts(scores_NK):
            logits = scores_NK[rows].to(dtype, copy=True).div_(temperature)
            wanted = targets_NK[rows]
            torch.logsumexp(logits, dim=1, out=log_sums_N[rows])
            torch.sum(wanted, dim=1, dtype=dtype, out=mass_N[rows])
            agreement = logits.mul_(wanted).sum(dim=1)
            torch.sub(mass_N[rows] * log_sums_N[rows], agreement, out=loss_N[rows])
        ctx.save_for_backward(targets_NK, scores_NK, log_sums_N, mass_N)
        ctx.temperature = temperature
        return loss_N

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        targets_NK, scores_NK, log_sums_N, mass_N = ctx.saved_tensors
        (gradient_N,) = gradients
        result = torch.empty_like(scores_NK)
        weight_N1 = (gradient_N / ctx.temperature)[:, None]
        for rows in _parts(scores_NK):
            softmax = (
                scores_NK[rows]
                .to(log_sums_N.dtype, copy=True)
                .div_(ctx.temperature)
                .sub_(log_sums_N[rows, None])
                .exp_()
            )
            result[rows] = softmax.mul_(mass_N[rows, None]).sub_(targets_NK[rows]).mul_(weight_N1[rows])
        return None, result, None


def _parts(scores_NK: Tensor) -> Iterator[slice]:
    """Rows to take at a time."""
    n_rows, n_columns = scores_NK.shape
    step = max(1, _VALUES_AT_ONCE.get(scores_NK.device.type, n_rows * n_columns) // n_columns)
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))
