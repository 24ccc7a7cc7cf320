"""Pictures of a dataset: its distributions, and contact sheets of accepted and of rejected films.

A rejected film has no image in the dataset. A duplicate is shown as the film that it repeats; others
by their preview where ingest kept one (``--previews``), else by a grey tile that names the reason: what
was rejected because it may name somebody is never shown. Neighbours: ``dataset_counts``, ``inspect``.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from raydino.commands.dataset_counts import Distribution, distributions, is_told, reasons
from raydino.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    from raydino.artifacts.dataset import Dataset

    Picture = npt.NDArray[np.float32]

COLUMNS, MOST_TILES = 8, 48
PREVIEWS = "previews"  # folder of a dataset: PNG of rejected films by sample_id
_INK, _BAR, _UNKNOWN, _GROUND, _TILE = "#1f2933", "#2f6f9f", "#b8c4ce", "#111417", "#2b3036"


def write_pictures(dataset: Dataset, directory: Path) -> list[Path]:
    """``distributions.png``, ``accepted.png`` and, where films were rejected, ``rejected.png``."""
    figures = {"distributions.png": _plot_distributions(dataset), "accepted.png": _sheet_of_accepted(dataset)}
    if (dataset.manifest["status"] == "rejected").any():
        figures["rejected.png"] = _sheet_of_rejected(dataset)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            figure.savefig(directory / name, dpi=110, facecolor=figure.get_facecolor(), metadata={"Software": None})
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=directory) from None
    return [directory / name for name in figures]


def _plot_distributions(dataset: Dataset) -> Figure:
    """A panel of horizontal bars for each distribution; panels are as high as they have bars."""
    from matplotlib.figure import Figure

    panels = [one for one in chain(distributions(dataset), [reasons(dataset)]) if is_told(one)]
    columns = _dealt(panels, 2)
    bars = max(sum(len(panel.counts) + 2 for panel in column) for column in columns)
    figure = Figure(figsize=(12, 0.6 + 0.24 * bars), facecolor="white")
    for index, column in enumerate(columns):
        top = 1 - 0.35 / figure.get_figheight()
        for panel in column:
            height = 0.24 * len(panel.counts) / figure.get_figheight()
            axes = figure.add_axes((0.16 + 0.5 * index, top - height - 0.25 / figure.get_figheight(), 0.26, height))
            _bars(axes, panel)
            top -= height + 0.48 / figure.get_figheight()
    return figure


def _dealt(panels: Sequence[Distribution], n_columns: int) -> list[list[Distribution]]:
    """Panels in order, each to the column that is shortest so far."""
    columns: list[list[Distribution]] = [[] for _ in range(n_columns)]
    for panel in panels:
        min(columns, key=lambda column: sum(len(one.counts) + 2 for one in column)).append(panel)
    return columns


def _bars(axes: Axes, panel: Distribution) -> None:
    groups, counts = list(panel.counts), list(panel.counts.values())
    colours = [_UNKNOWN if group == "unknown" else _BAR for group in groups]
    axes.barh(range(len(groups)), counts, color=colours, height=0.72)
    axes.set_yticks(range(len(groups)), [textwrap.shorten(group, 26, placeholder="…") for group in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(0, max(counts) * 1.22)
    for position, count in enumerate(counts):
        text = f" {count:,}  ({count / max(panel.total, 1):.0%})"
        axes.text(count, position, text, va="center", fontsize=8, color=_INK)
    axes.set_title(f"{panel.name}, {panel.total:,}", loc="left", fontsize=10, fontweight="bold", color=_INK)
    axes.tick_params(length=0, labelsize=8, colors=_INK)
    axes.set_xticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


def _sheet_of_accepted(dataset: Dataset) -> Figure:
    """The first films by sample_id: a pseudonym is random, so they are a random sample."""
    names = dataset.sample_ids()[:MOST_TILES]
    people = dataset.demographics
    tiles = []
    for name in names:
        row, person = dataset.accepted.loc[name], people.loc[name]
        age = "age ?" if person["age_years"] != person["age_years"] else f"{person['age_years']:.0f} y"
        sex = "sex ?" if person["sex"] == "UNKNOWN" else person["sex"]
        view = "view ?" if row["view"] == "UNKNOWN" else row["view"]
        tiles.append((_grey(dataset.film(name)), f"{name[:8]}\n{view}, {age}, {sex}"))
    title = f"{len(names):,} of {len(dataset.accepted):,} accepted films"
    return _sheet(title, tiles)


def _sheet_of_rejected(dataset: Dataset) -> Figure:
    """Pictures where there are any, in turn from each reason, then a tile for each fault without one and its count."""
    rejected = dataset.manifest[dataset.manifest["status"] == "rejected"].sort_index()
    pictured: dict[str, list[tuple[Picture | None, str]]] = {}
    faults: Counter[tuple[str, str]] = Counter()
    for name, row in rejected.iterrows():
        reason, detail = str(row["reason"]), row["detail"] if isinstance(row["detail"], str) else ""
        if len(pictured.get(reason, ())) >= MOST_TILES:
            continue
        picture = _preview(dataset, str(name), row["duplicate_of"])
        if picture is None:
            faults[reason, detail] += 1
        else:
            pictured.setdefault(reason, []).append((picture, f"{str(name)[:8]}\n{reason}"))
    in_turn = [tile for tiles in zip_longest(*pictured.values()) for tile in tiles if tile is not None][:MOST_TILES]
    shown = sorted(in_turn, key=lambda tile: tile[1].partition("\n")[::-1])
    texts = [_fault(reason, detail, count) for (reason, detail), count in faults.most_common(MOST_TILES)]
    title = (
        f"{len(rejected):,} rejected files: {len(shown):,} with a picture, and {len(texts):,} kinds of fault without"
    )
    return _sheet(title, [*shown, *((None, text) for text in texts)])


def _fault(reason: str, detail: str, count: int) -> str:
    told = textwrap.fill(textwrap.shorten(detail, 150, placeholder=" …"), 24)
    return f"{reason}\n× {count:,}\n\n{told}"


def _preview(dataset: Dataset, name: str, duplicate_of: object) -> Picture | None:
    import cv2

    if isinstance(duplicate_of, str) and duplicate_of in dataset.accepted.index:
        return 0.6 * _grey(dataset.film(duplicate_of))
    file = dataset.path / PREVIEWS / f"{name}.png"
    small = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) if file.is_file() else None
    return None if small is None else _grey(small)  # type: ignore[arg-type]


def _grey(film: npt.NDArray[np.uint8 | np.uint16]) -> Picture:
    """[0, 1], at most 256 pixels on the longer side."""
    import cv2
    import numpy as np

    scale = min(1.0, 256 / max(film.shape))
    size = (max(1, round(film.shape[1] * scale)), max(1, round(film.shape[0] * scale)))
    full = np.asarray(film, np.float32) / np.iinfo(film.dtype).max
    return np.asarray(cv2.resize(full, size, interpolation=cv2.INTER_AREA), np.float32)


def _sheet(title: str, tiles: Sequence[tuple[Picture | None, str]]) -> Figure:
    """Tiles of one size in rows of COLUMNS; a picture keeps its aspect, a text stands in a grey tile."""
    from matplotlib.figure import Figure

    rows = max(1, -(-len(tiles) // COLUMNS))
    figure = Figure(figsize=(1.62 * COLUMNS, 1.95 * rows + 0.5), facecolor=_GROUND)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes, tile in zip_longest(grid.flat, tiles):
        axes.set_axis_off()
        if tile is not None:
            _draw_tile(axes, *tile)
    height = figure.get_figheight()
    figure.text(0.012, 1 - 0.18 / height, title, color="white", fontsize=12, fontweight="bold", va="center")
    figure.subplots_adjust(0.012, 0.08 / height, 0.988, 1 - 0.72 / height, wspace=0.06, hspace=0.24)
    return figure


def _draw_tile(axes: Axes, picture: Picture | None, caption: str) -> None:
    axes.set_box_aspect(1)
    axes.set_facecolor("black")
    if picture is None:
        axes.add_patch(_tile_ground(axes))
        reason, _, detail = caption.partition("\n\n")
        axes.text(
            0.5, 0.72, reason, transform=axes.transAxes, ha="center", color="white", fontsize=8, fontweight="bold"
        )
        axes.text(0.5, 0.6, detail, transform=axes.transAxes, ha="center", va="top", color="#c9d1d9", fontsize=6)
        return
    rows, cols = picture.shape
    side = max(rows, cols)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
    axes.set_xlim((cols - side) / 2 - 0.5, (cols + side) / 2 - 0.5)
    axes.set_ylim((rows + side) / 2 - 0.5, (rows - side) / 2 - 0.5)
    axes.set_title(caption, color="white", fontsize=6.5, pad=3, linespacing=1.25)


def _tile_ground(axes: Axes) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((0, 0), 1, 1, transform=axes.transAxes, facecolor=_TILE, edgecolor="#4a525b", linewidth=0.8)


def bars_of(panel: Distribution, width: int = 28) -> Iterator[tuple[str, str]]:
    """Rows for the terminal: group, and a bar of at most ``width`` characters with its count."""
    largest = max(panel.counts.values(), default=0) or 1
    for group, count in panel.counts.items():
        eighths = round(8 * width * count / largest)
        bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
        yield group, f"{bar or ('▏' if count else '')} {count:,} ({count / max(panel.total, 1):.0%})"
