"""Numbers and memory: bf16 autocast where the machine has it, and a kinder malloc."""

from __future__ import annotations

import ctypes
import sys
from typing import Literal

import torch

from raydino.errors import UserError

Precision = Literal["auto", "fp32", "bf16"]
_CPU_BF16 = ("avx512_bf16", "amx_bf16", "bf16")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 matrix products are native on ``device``."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return any(torch.cpu.get_capabilities().get(name, False) for name in _CPU_BF16)
    return False


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """bf16 autocast for ``auto`` where it is native, and for ``bf16`` anywhere; else fp32."""
    enabled = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed blocks instead of returning them to the system after every step.

    With the defaults a step of a small ViT made some 925,000 page faults, a third of its time.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    gibibyte = 2**30
    mallopt(_M_MMAP_THRESHOLD, gibibyte)
    mallopt(_M_TRIM_THRESHOLD, 2 * gibibyte - 1)


def pick_device(name: str, *, local_rank: int = 0) -> torch.device:
    """``auto`` is the GPU of this process where there is one, else the CPU; ``cuda`` the GPU, or an error.

    With several processes on a machine each takes the GPU of its ``local_rank``.
    """
    try:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else torch.device(name)
    except RuntimeError:
        raise UserError(f"there is no device {name!r}", remedy="device is auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device {name!r} is not supported", remedy="device is auto, cpu, cuda or cuda:N")
    if device.type == "cpu":
        return device
    if not torch.cuda.is_available():
        raise UserError(f"device {name!r} was asked for, and torch sees no GPU", remedy="set device to auto or cpu")
    index = local_rank if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise UserError(
            f"GPU {index} was asked for, and this machine has {torch.cuda.device_count()}",
            remedy="start no more processes a machine than it has GPUs",
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
