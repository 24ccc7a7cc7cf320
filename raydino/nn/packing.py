"""Crops of several sizes as one row of tokens, so that linear layers and norms run once over them all.

DINOv2 paper §5 (sequence packing). Shapes: groups g of B_g crops with T_g tokens each; P = Σ B_g · T_g packed
tokens; D channels. Attention must not cross crops: a ``Layout`` says where each of them lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """``groups``: (crops, tokens of each crop), in order."""

    groups: tuple[tuple[int, int], ...]

    @property
    def sizes(self) -> list[int]:
        """Packed tokens of each group."""
        return [n_crops * n_tokens for n_crops, n_tokens in self.groups]

    @property
    def longest(self) -> int:
        """Tokens of the longest crop."""
        return max(n_tokens for _, n_tokens in self.groups)

    def boundaries(self, device: torch.device) -> Tensor:
        """int32 [crops + 1]: where each crop begins, and the end of the last; as variable-length kernels want it."""
        return _boundaries(self.groups, device)

    def of(self, n_crops: Sequence[int]) -> Layout:
        """The same groups with other numbers of crops."""
        return Layout(tuple((n, n_tokens) for n, (_, n_tokens) in zip(n_crops, self.groups, strict=True)))


def pack(groups: Sequence[Tensor]) -> tuple[Tensor, Layout]:
    """[B_g, T_g, D] each → [P, D] and where everything lies. A single group is not copied."""
    flat = [group.flatten(0, 1) for group in groups]
    layout = Layout(tuple((group.shape[0], group.shape[1]) for group in groups))
    return (flat[0] if len(flat) == 1 else torch.cat(flat)), layout


def unpack(tokens: Tensor, layout: Layout) -> list[Tensor]:
    """[P, ...] → [B_g, T_g, ...] each, without copying."""
    parts = [tokens] if len(layout.groups) == 1 else tokens.split(layout.sizes)
    return [part.unflatten(0, group) for part, group in zip(parts, layout.groups, strict=True)]


@lru_cache(maxsize=64)
def _boundaries(groups: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    lengths = torch.cat([torch.full((n_crops,), n_tokens) for n_crops, n_tokens in groups])
    return torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(device, torch.int32)
