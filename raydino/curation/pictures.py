"""The pictures of the curation report: cluster sizes by rank, and contact sheets of the most central films.

PNG files for the selection's directory, and small JPEGs to stand inside the page. Neighbours: ``tree`` says which
films, ``report`` places them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import numpy.typing as npt

from raydino.artifacts.dataset import Dataset
from raydino.curation.composition import Flags
from raydino.curation.tree import Cluster, Sizes, Tree
from raydino.data.films import unit_range
from raydino.tracking import track
from raydino.train.curves import COLOURS, save_figure

Thumbnail = npt.NDArray[np.uint8]  # [side, side], the film in the middle of black

THUMBNAIL_SIDE = 104
JPEG_QUALITY = 78
SHEET_ROWS = 12  # clusters of clusters.png
BLUE, ORANGE = COLOURS[:2]
GREY = "#7b8794"


def draw_sizes(sizes: Sizes, target: Path, *, noun: str = "film") -> None:
    """One level's clusters by rank, before and after, on log axes; the dashed line is an even selection."""
    n_clusters, n_films = len(sizes.before), int(sizes.after.sum())
    figure, axis = plt.subplots(figsize=(5.6, 3.7), constrained_layout=True)
    after = sizes.drawn * n_films  # equals the films selected, unless weights differ
    for name, amounts, colour in (("pool", sizes.before, GREY), ("selection", after, BLUE)):
        ranked = np.sort(amounts)[::-1]
        ranked = ranked[ranked > 0]
        rank = np.arange(1, len(ranked) + 1)
        marker = "o" if len(ranked) <= 60 else None
        axis.plot(rank, ranked, color=colour, label=name, linewidth=1.8, marker=marker, markersize=3.5)
    if n_films:
        even = n_films / n_clusters
        axis.axhline(even, color=ORANGE, linestyle="--", linewidth=1.2, label="an even selection")
    axis.set(xscale="log", yscale="log", xlabel="cluster, by size", ylabel=f"{noun}s")
    axis.set_title(f"level {sizes.level}: {n_clusters:,} clusters", fontsize=11, loc="left")
    for scale, (low, high) in ((axis.xaxis, axis.get_xlim()), (axis.yaxis, axis.get_ylim())):
        scale.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
        scale.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        scale.set_minor_formatter(mpl.ticker.NullFormatter())
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=9, frameon=False)
    save_figure(figure, target, dpi=120)


def thumbnails(dataset: Dataset, sample_ids: Sequence[str]) -> dict[str, Thumbnail]:
    """Small pictures of those of ``sample_ids`` that the dataset holds."""
    known = dataset.accepted.index
    unique = [sample_id for sample_id in dict.fromkeys(sample_ids) if sample_id in known]
    return {sample_id: _thumbnail(dataset, sample_id) for sample_id in track(unique, "drawing contact sheets")}


def _thumbnail(dataset: Dataset, sample_id: str) -> Thumbnail:
    film = unit_range(dataset.film(sample_id))
    scale = THUMBNAIL_SIDE / max(film.shape)
    rows, cols = (max(1, round(side * scale)) for side in film.shape)
    small = cv2.resize(film, (cols, rows), interpolation=cv2.INTER_AREA)
    square = np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)
    top, left = (THUMBNAIL_SIDE - rows) // 2, (THUMBNAIL_SIDE - cols) // 2
    square[top : top + rows, left : left + cols] = (small * 255).round().clip(0, 255)
    return square


def jpeg(picture: Thumbnail) -> bytes:
    """``picture`` as JPEG, for the page."""
    return cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes()


def draw_contact_sheet(
    tree: Tree, ids: Sequence[str], selected: Flags, pictures: Mapping[str, Thumbnail], target: Path
) -> None:
    """The first clusters of the tree, one a row: the most central films, selected ones with a blue line below."""
    clusters = sorted(tree.shown, key=lambda cluster: -cluster.before)[:SHEET_ROWS]
    columns = max((len(cluster.central) for cluster in clusters), default=0)
    inches = 0.98 * len(clusters) + 0.4
    figure, axes = plt.subplots(
        len(clusters),
        columns + 1,
        figsize=(0.95 * columns + 1.6, inches),
        squeeze=False,
        width_ratios=[1.45, *[1.0] * columns],
    )
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.4 / inches, bottom=0.1 / inches, wspace=0.06)
    for row, cluster in zip(axes, clusters, strict=True):
        _draw_row(row, cluster, ids, selected, pictures)
    heading = f"{len(clusters)} of {tree.n_top:,} clusters, most central films first; a blue line: selected"
    figure.suptitle(heading, fontsize=9, x=0.01, y=1 - 0.06 / inches, ha="left", va="top")
    save_figure(figure, target, dpi=110)


def _draw_row(
    row: Sequence[Any],
    cluster: Cluster,
    ids: Sequence[str],
    selected: Flags,
    pictures: Mapping[str, Thumbnail],
) -> None:
    for axis in row:
        axis.set_axis_off()
    row[0].text(0, 0.62, f"cluster {cluster.index}", fontsize=9, weight="bold", va="center")
    row[0].text(0, 0.32, f"{cluster.before:,} → {cluster.after:,} films", fontsize=8, va="center")
    for axis, film in zip(row[1:], cluster.central, strict=False):
        picture = pictures.get(ids[film])
        if picture is not None:
            axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
        if selected[film]:
            axis.plot([0.04, 0.96], [-0.05, -0.05], color=BLUE, linewidth=2.5, transform=axis.transAxes, clip_on=False)
