"""Several processes as one: joining them, and the collectives that the method and its metrics need.

With one process every function gives back what it was given, so that callers hold no branch for it. All
ranks must call each collective, in one order. ``parallel`` spreads the networks over the ranks and
``checkpoint`` writes them; these three files alone import ``torch.distributed``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from raydino.errors import UserError

_PATIENCE = timedelta(minutes=30)  # of a collective: the others wait while rank 0 probes or writes
_FAILED = "failed"  # counts the ranks that have failed; it lies in the store that torchrun keeps
_LINGER_S = 5.0
_background: list[dist.ProcessGroup] = []  # see background_group
_LOST_PEER = ("gloo", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL")


def world_size() -> int:
    """Number of processes of this run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, 0 in a run of one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def is_main() -> bool:
    """Whether this process writes the run's files."""
    return rank() == 0


def local_rank() -> int:
    """This process's number on its machine: that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_world_size() -> int:
    """Number of processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", str(world_size())))


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that torchrun or SLURM has started, as their environment says; leave at the end.

    Where one rank fails the others end too, and only the first to fail says why: the others raise
    SystemExit. Does nothing for a process that was started alone.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    try:
        store, number, size = next(dist.rendezvous("env://", timeout=_PATIENCE))
        # torchrun keeps its store over restarts: without a name of its own an attempt may read a dead rank's address.
        store = dist.PrefixStore(f"raydino/attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        dist.init_process_group(_backend(), store=store, rank=number, world_size=size, timeout=_PATIENCE)
        # All connections are made now: later a rank that waits for one would not notice that another has failed.
        _background.append(dist.new_group(backend="gloo", timeout=_PATIENCE))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the processes of this run do not reach each other ({reason})",
            remedy="start them with torchrun; for one process unset WORLD_SIZE",
        ) from None
    failed = False
    try:
        yield
    except Exception as error:
        failed = True
        if not _is_first(store):
            raise SystemExit(2) from None
        if _is_lost_peer(error):
            raise UserError("another process of this run has ended", remedy="continue with --resume") from error
        raise
    finally:
        _background.clear()
        with suppress(Exception):
            dist.destroy_process_group()  # the others' collectives fail now
        if failed and number == 0:
            _let_others_ask(store, size)


def background_group() -> dist.ProcessGroup | None:
    """A group of all ranks for a thread beside the training (collectives of two threads must not mix)."""
    return _background[0] if _background else None


def agreed_max(value: float) -> float:
    """The largest ``value`` of all ranks, a number that every rank then has."""
    return float(all_max(torch.tensor(value, dtype=torch.float64)))


def wait_for_all() -> None:
    """Return when every rank has come here."""
    agreed_max(0.0)


def mean_over_ranks(metrics: Mapping[str, float]) -> dict[str, float]:
    """Each metric's mean over the ranks; they must have the same names, in one order."""
    if world_size() == 1:
        return dict(metrics)
    total = all_sum(torch.tensor(list(metrics.values()), dtype=torch.float64))
    return dict(zip(metrics, (total / world_size()).tolist(), strict=True))


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
    gathered: Tensor = _GatherRows.apply(rows.contiguous())
    return gathered


class _GatherRows(torch.autograd.Function):
    """Backwards, what all ranks' losses say of this rank's rows is added up."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.n_rows = len(rows)
        parts = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return all_sum(gradients[0].contiguous()).narrow(0, rank() * ctx.n_rows, ctx.n_rows)


def _backend() -> str:
    """gloo for tensors in memory, beside NCCL for those on GPUs where there are any."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"


def _is_first(store: dist.Store) -> bool:
    """Whether no other rank has failed before; the process that keeps the store may itself be gone."""
    try:
        return store.add(_FAILED, 1) == 1
    except RuntimeError:
        return True


def _let_others_ask(store: dist.Store, size: int) -> None:
    """Keep the store, which may lie in this process, until the others know that they are not the first."""
    end = time.monotonic() + _LINGER_S
    with suppress(RuntimeError):
        while store.add(_FAILED, 0) < size and time.monotonic() < end:
            time.sleep(0.05)


def _is_lost_peer(error: BaseException) -> bool:
    if isinstance(error, UserError):
        return False
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _LOST_PEER)
    )
