"""What the search for the nearest centroid does to many numbers: compiled ``loops`` on a CPU, elsewhere PyTorch.

Both give the same, but for the last bits of a distance, whose summands are added up in another order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydino.curation import amx, loops
from raydino.train.precision import has_bf16

PARTS = 3  # columns for a float32 in an operand of bf16: three numbers that add up to it


def product_type(device: torch.device) -> torch.dtype:
    """What scores are computed in: bf16 where a CPU has it."""
    return torch.bfloat16 if device.type == "cpu" and has_bf16(device) else torch.float32


def on_matrix_unit(device: torch.device) -> bool:
    """Whether ``tiles`` compute scores there."""
    return product_type(device) == torch.bfloat16 and amx.available()


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


def rounding_of(dim: int) -> float:
    """By how much one of two equal squared distances may seem larger, relatively: each is off by less than D + 3
    roundings."""
    return 2 * (dim + 3) * 2.0**-24


def pair_distances(left: Tensor, rows: Tensor, right: Tensor, others: Tensor) -> Tensor:
    """|left[rows] - right[others]|² of P pairs: [P]; exactly 0 for vectors that are equal."""
    if not _on_cpu(left):
        return _pair_distances(left, rows, right, others, torch.float32)
    squared = torch.empty(len(rows))
    loops.squared_between(*(t.numpy() for t in (left, rows, right, others, squared)))
    return squared


def contest(
    vectors: Tensor, centroids: Tensor, rows: Tensor, rivals: Tensor, own: Tensor | None, squared: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of ``rows`` [P] of the ``vectors`` [n, D], ascending, those that one of their ``rivals`` [P] among ``centroids``
    [K, D] wins from ``own`` [n]; the nearest of them, and its squared distance.

    A rival wins that is nearer in float64, or as near and a lower number. Without ``own`` it is nobody of these, at
    ``squared`` [n] distance in any case, and loses if a rival is nearer in float32.
    """
    rounding = rounding_of(vectors.shape[1])
    if not _on_cpu(vectors):
        return _contest(vectors, centroids, rows, rivals, own, squared, rounding)
    mine = rows.new_full((len(vectors),), -1) if own is None else own
    arrays = (t.numpy() for t in (vectors, centroids, rows, rivals, mine, squared))
    places, winners, nearest = loops.contest(*arrays, rounding)
    return torch.from_numpy(places), torch.from_numpy(winners), torch.from_numpy(nearest)


def _contest(
    vectors: Tensor,
    centroids: Tensor,
    rows: Tensor,
    rivals: Tensor,
    own: Tensor | None,
    squared: Tensor,
    rounding: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """``contest`` by PyTorch's operations."""
    rated, known = pair_distances(vectors, rows, centroids, rivals), squared.index_select(0, rows)
    near = rated < known if own is None else rated <= (1 + rounding) * known
    rows, rivals = rows[near], rivals[near]
    if own is not None:
        contested = torch.unique_consecutive(rows)
        rows, rivals = torch.cat((rows, contested)), torch.cat((rivals, own[contested]))
        order = rows.argsort(stable=True)
        rows, rivals = rows[order], rivals[order]
    places, winners = _nearest(vectors, centroids, rows, rivals, rounding)
    if own is not None:
        won = winners != own[places]
        places, winners = places[won], winners[won]
    return places, winners, pair_distances(vectors, places, centroids, winners)


def _nearest(
    vectors: Tensor, centroids: Tensor, rows: Tensor, candidates: Tensor, rounding: float
) -> tuple[Tensor, Tensor]:
    """Of ``rows`` [P] of ``vectors``, ascending, and ``candidates`` [P] among ``centroids``: each row once, and its
    nearest, the lowest on ties."""
    found, place, count = torch.unique_consecutive(rows, return_inverse=True, return_counts=True)
    for dtype, slack in ((torch.float32, rounding), (torch.float64, 0.0)):  # float32 leaves few pairs to float64
        several = (count > 1).index_select(0, place).nonzero()[:, 0]
        if len(several) == 0:
            break
        squared = _pair_distances(vectors, rows[several], centroids, candidates[several], dtype)
        least = squared.new_full((len(found),), torch.inf)
        least.scatter_reduce_(0, place[several], squared, "amin")
        kept = torch.ones_like(place, dtype=torch.bool)
        kept[several] = squared <= (1 + slack) * least[place[several]]
        rows, candidates, place = rows[kept], candidates[kept], place[kept]
        count = torch.bincount(place, minlength=len(found))
    lowest = candidates.new_full((len(found),), len(centroids))
    return found, lowest.scatter_reduce_(0, place, candidates, "amin")


def _pair_distances(left: Tensor, rows: Tensor, right: Tensor, others: Tensor, dtype: torch.dtype) -> Tensor:
    mine, theirs = left.index_select(0, rows).to(dtype), right.index_select(0, others).to(dtype)
    return torch.linalg.vector_norm(mine - theirs, dim=1).square_()


def _on_cpu(tensor: Tensor) -> bool:
    """Whether compiled ``loops`` work on it; else PyTorch's operations do the same."""
    return tensor.device.type == "cpu"
