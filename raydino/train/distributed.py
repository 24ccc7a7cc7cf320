"""Several processes as one: the collectives that the method and its metrics need.

The only file that imports ``torch.distributed``. With one process every function gives back what it
was given, so that callers hold no branch for it. All ranks must call each function, in one order.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather as all_gather_with_gradient


def world_size() -> int:
    """Number of processes of this run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, 0 in a run of one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def is_main() -> bool:
    """Whether this process writes the run's files."""
    return rank() == 0


@torch.no_grad()
def all_sum(value: Tensor) -> Tensor:
    """The sum of ``value`` over all ranks; no gradient."""
    if world_size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total, op=dist.ReduceOp.SUM)
    return total


@torch.no_grad()
def all_max(value: Tensor) -> Tensor:
    """The elementwise maximum of ``value`` over all ranks; no gradient."""
    if world_size() == 1:
        return value
    largest = value.detach().clone()
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest


def gather_rows(rows: Tensor) -> Tensor:
    """[n, ...] of every rank, equal in shape, in order of rank: [world_size · n, ...]; gradients flow back."""
    if world_size() == 1:
        return rows
    return torch.cat(all_gather_with_gradient(rows.contiguous()))
