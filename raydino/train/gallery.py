"""Pictures of a run: what the network is given, how it parts a film, and where it looks.

``crops.png`` is a real batch with its masked patches; ``patches.png`` and ``attention.png`` show always the same
validation films. Written anew at each probe. Neighbours: ``attention_maps`` has the maths, ``curves`` the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.layout_engine import ConstrainedLayoutEngine

from raydino.artifacts.dataset import Dataset
from raydino.data.batches import Batch
from raydino.data.films import Films, whole_film
from raydino.nn.vit import VisionTransformer
from raydino.train.attention_maps import class_attention, patch_colours
from raydino.train.curves import save_figure

Array = npt.NDArray[np.floating]

N_FILMS = 6
N_CROP_FILMS = 4
N_LOCALS = 8
N_HEADS = 8
MASK_COLOUR = np.array([0.90, 0.62, 0.0], np.float32)  # Okabe and Ito's orange
CELL_INCHES = 1.35


class Gallery:
    """Draws the three pictures into a run directory; measures nothing.

    ``start`` is the network before training, whose patch tokens stand beside the present ones. ``show`` is
    handed each picture, for the trackers.
    """

    def __init__(
        self,
        dataset: Dataset,
        directory: Path,
        *,
        start: VisionTransformer,
        mean: float,
        std: float,
        show: Callable[[int, Path], None],
    ) -> None:
        self._directory, self._mean, self._std, self._show = directory, mean, std, show
        self._patch_size = start.config.patch_size
        ids = dataset.sample_ids("val") or dataset.sample_ids("train")
        places = np.unique(np.linspace(0, len(ids) - 1, min(N_FILMS, len(ids))).round().astype(int))
        films = Films(dataset, [ids[place] for place in places], cache_bytes=0)
        side = start.config.image_size
        self._films = np.reshape([whole_film(films[i], side) for i in range(len(films))], (-1, 1, side, side))
        self._at_start = self._colours(start) if len(films) else None

    def measure(self, step: int, teacher: VisionTransformer, batch: Batch | None) -> dict[str, float]:
        """Refresh the pictures; returns no metric."""
        if batch is not None:
            self._finish(step, "crops", draw_crops(batch, self._patch_size))
        if self._at_start is not None:
            films = self._films[:, 0]
            self._finish(step, "patches", draw_patches(films, self._at_start, self._colours(teacher), step))
            maps = class_attention(teacher, self._normalised(teacher)).cpu().numpy()
            self._finish(step, "attention", draw_attention(films, maps, step))
        return {}

    def _colours(self, vit: VisionTransformer) -> Array:
        with torch.no_grad():
            patches = vit(self._normalised(vit)).patches.float().cpu().numpy()
        films, (_, h, w, _) = self._films[:, 0], patches.shape
        brightness = films.reshape(len(films), h, self._patch_size, w, self._patch_size).mean(axis=(2, 4))
        return patch_colours(patches, brightness)

    def _normalised(self, vit: VisionTransformer) -> torch.Tensor:
        images = (torch.from_numpy(self._films).float() - self._mean) / self._std
        return images.to(vit.cls_token.device)

    def _finish(self, step: int, name: str, figure: Any) -> None:
        path = self._directory / f"{name}.png"
        save_figure(figure, path, dpi=100)
        self._show(step, path)


def draw_crops(batch: Batch, patch_size: int) -> Any:
    """The first films of a batch, one a row: both global crops with masked patches in orange, then local crops."""
    n_films = len(batch.global_crops) // 2
    n_locals = min(len(batch.local_crops) // n_films, N_LOCALS)
    size = {"global": batch.global_crops.shape[-1], "local": batch.local_crops.shape[-1]}
    cells, titles = [], [f"global 1, {size['global']} px", f"global 2, {size['global']} px"]
    titles += [f"local {k + 1}, {size['local']} px" for k in range(n_locals)]
    for film in range(min(n_films, N_CROP_FILMS)):
        globals_ = [
            masked_film(batch.global_crops[row, 0].numpy(), batch.masks[row].numpy(), patch_size)
            for row in (film, n_films + film)
        ]
        locals_ = [batch.local_crops[k * n_films + film, 0].numpy() for k in range(n_locals)]
        cells.append([*globals_, *locals_])
    names = [f"film {film + 1}" for film in range(len(cells))]
    return _grid(cells, titles, names, "what the student is given; orange patches are hidden from it (iBOT)")


def masked_film(film_HW: Array, mask_N: npt.NDArray[np.bool_], patch_size: int) -> Array:
    """[H, W, 3] in 0..1: the film in grey, masked patches tinted."""
    rows, cols = (side // patch_size for side in film_HW.shape)
    hidden = np.kron(mask_N.reshape(rows, cols), np.ones((patch_size, patch_size), bool))[..., None]
    grey = np.repeat(film_HW.clip(0, 1)[..., None], 3, axis=2)
    return np.where(hidden, 0.45 * grey + 0.55 * MASK_COLOUR, grey)


def draw_patches(films_BHW: Array, before: Array, now: Array, step: int) -> Any:
    """One film a column: itself, its patch tokens' colours before training, and now."""
    rows = [list(films_BHW), list(before), list(now)]
    names = ["film", "before training", f"step {step}"]
    return _grid(
        rows,
        [""] * len(films_BHW),
        names,
        "patch tokens: their first three principal components as red, green and blue; alike means alike to the network",
    )


def draw_attention(films_BHW: Array, maps_BHhw: Array, step: int) -> Any:
    """One film a row: itself, the mean over heads, and single heads; each map from 0 to its own largest value."""
    n_heads = min(maps_BHhw.shape[1], N_HEADS)
    cells = []
    for film, maps in zip(films_BHW, maps_BHhw, strict=True):
        shown = [maps.mean(axis=0), *maps[:n_heads]]
        cells.append([film, *(mpl.colormaps["viridis"](one / max(one.max(), 1e-12))[..., :3] for one in shown)])
    titles = ["film", "mean of heads", *(f"head {k + 1}" for k in range(n_heads))]
    return _grid(
        cells,
        titles,
        [""] * len(cells),
        f"where the class token looks in the last block, step {step}: 0 is dark, each map's largest weight yellow",
    )


def _grid(cells: Sequence[Sequence[Array]], titles: Sequence[str], names: Sequence[str], heading: str) -> Any:
    """Pictures [h, w] in grey or [h, w, 3] in rows; ``titles`` over the columns, ``names`` before the rows."""
    n_rows, n_columns = len(cells), max(len(row) for row in cells)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(CELL_INCHES * n_columns + 0.3, CELL_INCHES * n_rows + 0.5),
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01),
    )
    for row, name, pictures in zip(axes, names, cells, strict=True):
        for axis, picture in zip(row, pictures, strict=False):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(name, fontsize=8)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=7.5)
    figure.suptitle(heading, fontsize=9, x=0.01, ha="left")
    return figure
