"""Pictures of one film: what the encoder looks at, how it parts the film, and what an adapter's scores rely on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapters.base import Adapter
from adapters.pictures.occlusion import occlusion_map
from raydino.artifacts.dataset import Dataset
from raydino.data.films import unit_range, whole_film
from raydino.encoder import Encoder, EncoderOutput
from raydino.errors import UserError
from raydino.train.attention_maps import attention_rollout, patch_colours

Picture = npt.NDArray[np.float64]  # [rows, cols, 3] in 0..1
OPACITY = 0.45


def draw(
    adapter: Adapter, encoder: Encoder, dataset: Dataset, sample_id: str, directory: Path, side: int
) -> list[Path]:
    """Write ``<sample_id>_rollout.png``, ``…_patches.png`` and, where scores are said, ``…_<label>.png`` of each.

    Each lies over the film at its stored size. ``side``: of the hidden squares, in patches.
    """
    film, encoder = dataset.film(sample_id), encoder.at(adapter.spec.image_size)
    image = whole_film(film, encoder.spec.image_size)
    images = torch.from_numpy(image)[None].to(adapter.device)
    rollout = attention_rollout(encoder.vit, encoder.normalise(images))[0].cpu().numpy()
    tokens = encoder(images).patches.cpu().numpy()
    n, size = encoder.spec.grid, encoder.spec.patch_size
    brightness = image[0].reshape(1, n, size, n, size).mean(axis=(2, 4))
    grey = np.repeat(unit_range(film).astype(np.float64)[..., None], 3, axis=2)
    pictures = {
        "rollout": _over(grey, mpl.colormaps["viridis"](rollout / max(float(rollout.max()), 1e-12))[..., :3]),
        "patches": _over(grey, patch_colours(tokens, brightness)[0]),
    }
    if score := score_of(adapter):
        drops = occlusion_map(score, encoder(images, adapter.config.recipe.blocks), side).cpu().numpy()
        for label, drop in zip(adapter.labels, np.moveaxis(drops, -1, 0), strict=True):
            pictures[label] = _over(grey, _diverging(drop))
    return [_write(directory / f"{sample_id}_{_file_name(name)}.png", picture) for name, picture in pictures.items()]


def score_of(adapter: Adapter) -> Callable[[EncoderOutput], Tensor] | None:
    """[B, L] logits of findings, or standardised measurements; None for an adapter that gives no score a label."""
    if adapter.task not in ("classification", "regression"):
        return None

    def score(output: EncoderOutput) -> Tensor:
        said: Any = adapter.predict(output)
        return said.logits if adapter.task == "classification" else said.standardised

    return score


def _diverging(drop: Picture) -> Picture:
    """Red where the score relies on the place, blue where the place speaks against it, white at 0."""
    largest = max(float(np.abs(drop).max()), 1e-12)
    return np.asarray(mpl.colormaps["RdBu_r"](0.5 + 0.5 * drop / largest)[..., :3])


def _over(grey: Picture, colours: Picture) -> Picture:
    enlarged = cv2.resize(colours, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR)
    return (1 - OPACITY) * grey + OPACITY * enlarged.clip(0, 1)


def _file_name(label: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in label).lower()


def _write(path: Path, picture: Picture) -> Path:
    if not cv2.imwrite(str(path), np.round(255 * picture[..., ::-1]).astype(np.uint8)):
        raise UserError("cannot be written", where=path)
    return path
