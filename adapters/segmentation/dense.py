"""Masks at test time from overlapping windows of larger films, at several scales (DINOv2, 2304.07193, 7.4: +ms).

The encoder sees squares of the side that it was trained on, so its position embeddings are as trained; a film at
scale 2 is cut into windows that each see a quarter of it, twice as fine. Probabilities of overlapping windows are
averaged with Gaussian weights, those of all scales with equal ones. Never mirrored: a chest has a left and a right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from monai.inferers import sliding_window_inference
from torch import Tensor

from adapters.segmentation.base import SegmentationAdapter
from raydino.artifacts.dataset import Dataset
from raydino.data.films import Films, whole_film
from raydino.encoder import Encoder
from raydino.errors import UserError

WINDOWS = 16  # encoded at a time; changes speed only


@dataclass(frozen=True)
class Windows:
    """``scales``: sides of the film in windows, 1 being the whole film at once; ``overlap`` of neighbours, 0..1."""

    scales: tuple[float, ...] = (1.0, 1.5, 2.0)
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) < 1:
            raise UserError(f"scales {list(self.scales)}", remedy="numbers from 1 upwards, such as 1,1.5,2")
        if not 0 <= self.overlap < 1:
            raise UserError(f"an overlap of {self.overlap}", remedy="a share of the window from 0 to below 1")

    def sides(self, window: int) -> list[int]:
        """The side in pixels of the square film at each scale."""
        return [round(scale * window) for scale in self.scales]


def windowed_maps(
    adapter: SegmentationAdapter, encoder: Encoder, dataset: Dataset, sample_ids: Sequence[str], windows: Windows
) -> Iterator[tuple[Tensor, Tensor]]:
    """(position [1], probability [1, S, side, side] at the finest scale) film by film, on the CPU."""
    films = Films(dataset, sample_ids, cache_bytes=0)
    for position in range(len(films)):
        squares = [
            torch.from_numpy(whole_film(films[position], side))[None].to(adapter.device)
            for side in windows.sides(encoder.spec.image_size)
        ]
        yield torch.tensor([position]), windowed_probability(adapter, encoder, squares, windows.overlap).cpu()


@torch.no_grad()
def windowed_probability(
    adapter: SegmentationAdapter, encoder: Encoder, squares: Sequence[Tensor], overlap: float
) -> Tensor:
    """[1, S, side, side] from one film as squares [1, 1, side, side] of several sides; the result has the largest."""
    window, blocks = encoder.spec.image_size, adapter.config.recipe.blocks

    def one(images: Tensor) -> Tensor:
        """[B, S, window, window] of B windows."""
        probability = adapter.eval()(encoder(images, blocks)).sigmoid()
        return F.interpolate(probability, size=(window, window), mode="bilinear", align_corners=False)

    side = max(square.shape[-1] for square in squares)
    maps = []
    for square in squares:
        blended = sliding_window_inference(square, window, WINDOWS, one, overlap=overlap, mode="gaussian")
        maps.append(F.interpolate(cast(Tensor, blended), size=(side, side), mode="bilinear", align_corners=False))
    return torch.stack(maps).mean(dim=0)
