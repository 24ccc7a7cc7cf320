"""What a resume needs, as tensors by name: the method's state and the optimiser's, whole or sliced.

Schedules, the order of the films, crops, masks and dropped paths are functions of the seed and the step, so
weights, moments and the step are all there is to keep. Names do not depend on the number of ranks or the
parallel mode: ``method.<name in the state dict>`` and ``optimizer.<parameter's name>.<moment>``. Tensors
without elements are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from raydino.errors import UserError
from raydino.train.checkpoint import load_into, stored_tensors


def state_tensors(method: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The tensors themselves, not copies."""
    tensors = _method_tensors(method)
    for name, parameter in method.named_parameters():
        if parameter.numel():
            for kind, value in optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{name}.{kind}"] = value
    return tensors


def restore(path: Path, method: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Fill ``method`` and ``optimizer`` from a checkpoint, written at any number of ranks in any mode.

    Raises UserError when its tensors are not those of this method. All ranks must call it.
    """
    stored = stored_tensors(path)
    parameters = dict(method.named_parameters())
    tensors = _method_tensors(method)
    for name, tensor in tensors.items():
        if name not in stored or stored[name].shape != tensor.shape:
            there = list(stored[name].shape) if name in stored else "not there"
            raise UserError(
                f"a checkpoint of another architecture: {name.removeprefix('method.')} is {there}, "
                f"not {list(tensor.shape)}",
                where=path,
                remedy="resume with the config that started the run (resolved.yaml)",
            )
    moments: dict[str, dict[str, Tensor]] = {}
    for name, (shape, dtype) in stored.items():
        if name.startswith("optimizer."):
            of, _, kind = name.removeprefix("optimizer.").rpartition(".")
            if of not in parameters:
                raise UserError(f"a checkpoint of another architecture: there is no {of} here", where=path)
            tensors[name] = moments.setdefault(of, {})[kind] = _empty(parameters[of], shape, dtype)
        elif name not in tensors:
            raise UserError(f"a checkpoint of another architecture: there is no {name} here", where=path)
    load_into(path, tensors)
    _give(optimizer, {parameters[name]: values for name, values in moments.items()})


def _method_tensors(method: nn.Module) -> dict[str, Tensor]:
    return {f"method.{name}": tensor for name, tensor in method.state_dict().items() if tensor.numel()}


def _empty(parameter: nn.Parameter, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Room for a moment: sliced as the parameter is where it has its shape (a step count has none)."""
    if shape == parameter.shape:
        return torch.zeros_like(parameter.detach(), dtype=dtype)
    return torch.zeros(shape, dtype=dtype, device=parameter.device)


def _give(optimizer: torch.optim.Optimizer, moments: dict[nn.Parameter, dict[str, Tensor]]) -> None:
    """The optimiser's own way in, which moves step counts to where it wants them; its groups stay."""
    ordered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[str, Any] = optimizer.state_dict()
    state["state"] = {index: moments[p] for index, p in enumerate(ordered) if p in moments}
    optimizer.load_state_dict(state)
