"""What the search for the nearest centroid does to many numbers: compiled ``loops`` on a CPU, elsewhere PyTorch.

Both give the same, but for the last bits of a distance, whose summands are added up in another order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydino.curation import loops
from raydino.train.precision import has_bf16

PARTS = 3  # columns for a float32 in an operand of bf16: three numbers that add up to it


def product_type(device: torch.device) -> torch.dtype:
    """What scores are computed in: bf16 where a CPU has it."""
    return torch.bfloat16 if device.type == "cpu" and has_bf16(device) else torch.float32


def measured(vectors: Tensor, origin: Tensor) -> tuple[Tensor, Tensor]:
    """Norms [n] of ``vectors`` [n, D] less ``origin`` [D], and of what these lose when they are rounded for a
    product."""
    dtype = product_type(vectors.device)
    if dtype == torch.bfloat16 and _on_cpu(vectors):
        norm, lost = vectors.new_empty(2, len(vectors))
        loops.measure(*(t.numpy() for t in (vectors, origin, norm, lost)))
        return norm, lost
    centred = vectors - origin
    rest = centred - centred.to(dtype).float()
    return torch.linalg.vector_norm(centred, dim=1), torch.linalg.vector_norm(rest, dim=1)


def write_operand(operand: Tensor, vectors: Tensor, origin: Tensor, numbers: Tensor, place: int) -> None:
    """Write ``vectors`` [n, D] less ``origin`` [D] to the first n rows and D columns of ``operand``, and ``numbers``
    [n] to three columns from ``place`` on, which add up to them: three bf16 hold a float32."""
    if operand.dtype == torch.bfloat16 and _on_cpu(vectors):
        loops.write_bf16(operand.view(torch.uint16).numpy(), *(t.numpy() for t in (vectors, origin, numbers)), place)
        return
    n, dim = vectors.shape
    torch.sub(vectors, origin, out=operand[:n, :dim])
    for column in operand[:n, place : place + PARTS].unbind(1):
        column.copy_(numbers)
        numbers = numbers - column


def at_least(numbers: Tensor, group_maxima: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """Rows, ascending, and columns of the ``numbers`` [n, members × groups] that are ``least`` [n] or more; group g are
    the columns g, g + groups, …, and their maxima [n, groups] say where to look."""
    if _on_cpu(numbers):
        rows, columns = loops.at_least(numbers.numpy(), group_maxima.numpy(), least.numpy())
        return torch.from_numpy(rows), torch.from_numpy(columns)
    n, n_groups = group_maxima.shape
    rows, groups = (group_maxima >= least[:, None]).nonzero(as_tuple=True)
    grouped = numbers.view(n, -1, n_groups)
    pair, member = (grouped[rows, :, groups] >= least[rows, None]).nonzero(as_tuple=True)
    return rows[pair], member * n_groups + groups[pair]


def pair_distances(
    left: Tensor, rows: Tensor, right: Tensor, others: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """|left[rows] - right[others]|² of P pairs, in ``dtype``: [P]; exactly 0 for vectors that are equal."""
    if not _on_cpu(left):
        mine, theirs = left.index_select(0, rows).to(dtype), right.index_select(0, others).to(dtype)
        return torch.linalg.vector_norm(mine - theirs, dim=1).square_()
    squared = torch.empty(len(rows), dtype=dtype)
    loops.squared_between(*(t.numpy() for t in (left, rows, right, others, squared)))
    return squared


def _on_cpu(tensor: Tensor) -> bool:
    """Whether compiled ``loops`` work on it; else PyTorch's operations do the same."""
    return tensor.device.type == "cpu"
