"""Student and teacher over several processes, changed in place: names, types and calls stay what they were.

``ddp``: every rank holds everything, gradients are averaged while backward runs. ``fsdp`` (FSDP2): every
rank holds a slice of each parameter, its gradient and its moments; a block's parameters are gathered
when it runs. ``hybrid``: sliced within a machine, replicated between machines, so that the frequent
gathers stay on the fast links. The teacher is sliced as the student is, so that its moving average works
on each rank's own slices. The gradient is the mean over ranks in every mode.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributed._composable.replicate import replicate  # DDP without a wrapper; torchtitan's way too
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from raydino.errors import UserError
from raydino.nn.block import Block
from raydino.train.distributed import is_main, local_world_size, world_size

Parallel = Literal["auto", "ddp", "fsdp", "hybrid"]
LARGE = 500_000_000  # parameters from which auto slices: weight, gradient, two moments and teacher are 20 bytes each

# FSDP hooks on a block's output, and ours are views (the class token is a slice). Nothing writes into them.
warnings.filterwarnings("ignore", message=r"FSDP2-wrapped module .* returned a view tensor")


def chosen_mode(mode: Parallel, n_parameters: int) -> Parallel | Literal["one"]:
    """The mode that ``auto`` stands for here; a single process is ``one``, whatever was asked for."""
    if world_size() == 1:
        return "one"
    if mode != "auto":
        return mode
    if n_parameters < LARGE:
        return "ddp"
    return "hybrid" if local_world_size() < world_size() else "fsdp"


def parallelise(
    student: nn.Module,
    others: Sequence[nn.Module],
    mode: Parallel,
    *,
    device: torch.device,
    bf16: bool = False,
    shard_ranks: int | None = None,
) -> str:
    """Spread the student, and the networks that no gradient trains, over the ranks; returns the mode taken.

    Make the optimiser after this. A network is called only as a whole: by its ``forward``.
    ``bf16``: blocks are gathered in bf16 on a GPU (half the traffic; gradients are reduced in float32).
    ``shard_ranks``: with hybrid, the ranks that hold one copy together; those of a machine when None.
    """
    taken = chosen_mode(mode, sum(p.numel() for p in student.parameters()))
    if taken == "ddp":
        replicate(student, device_id=device, gradient_as_bucket_view=True)
    elif taken != "one":
        mesh = _mesh(taken, device, shard_ranks)
        # The CPU's layer norm takes no bf16 weights beside float32 tokens, the GPU's does under autocast.
        policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16 if bf16 and device.type == "cuda" else None,
            reduce_dtype=torch.float32 if bf16 and device.type == "cuda" else None,
            cast_forward_inputs=False,
        )
        for network in (student, *others):
            _shard(network, mesh, policy)
    return taken


def whole(tensor: Tensor) -> Tensor:
    """A sliced tensor put together on every rank; any other tensor as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """The state of ``module`` in memory on rank 0, tensor by tensor; empty elsewhere. All ranks must call it."""
    state = {}
    for name, tensor in module.state_dict().items():
        together = whole(tensor)
        if is_main():
            state[name] = together.detach().cpu()
    return state


def is_sliced(module: nn.Module) -> bool:
    """Whether ``module`` holds slices, so that it can be called only on all ranks at once."""
    return any(isinstance(parameter, DTensor) for parameter in module.parameters())


def _shard(network: nn.Module, mesh: DeviceMesh, policy: MixedPrecisionPolicy) -> None:
    options = _options(network, mesh)
    for module in network.modules():
        if isinstance(module, Block):
            fully_shard(module, mp_policy=policy, **options)
    fully_shard(network, **options)


def _options(network: nn.Module, mesh: DeviceMesh) -> dict[str, Any]:
    """FSDP cannot slice a parameter without elements (no registers): such ones are left out and do not learn."""
    empty = {parameter.requires_grad_(False) for parameter in network.parameters() if not parameter.numel()}
    return {"mesh": mesh, "reshard_after_forward": True, "ignored_params": empty}


def _mesh(mode: str, device: torch.device, shard_ranks: int | None) -> DeviceMesh:
    size = world_size()
    if mode == "fsdp":
        return init_device_mesh(device.type, (size,))
    together = shard_ranks or local_world_size()
    if size % together:
        raise UserError(
            f"{size} processes do not divide into groups of {together}", remedy="set runtime.shard_ranks to a divisor"
        )
    return init_device_mesh(device.type, (size // together, together), mesh_dim_names=("replicate", "shard"))
