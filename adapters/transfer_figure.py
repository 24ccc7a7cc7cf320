"""The picture of ``transfer``: fitted on whom (rows) against tested on whom (columns), and the curve over mixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd


def draw(table: pd.DataFrame, path: Path) -> None:
    """AUROC as mean over labels and seeds; a frame marks tests in distribution."""
    from matplotlib.figure import Figure  # slow to import, and only this needs it

    rows = table[(table["label"] == "mean") & table["auroc"].notna()]
    mixed = rows[rows["share"].notna()]
    has_curve = mixed["share"].nunique() > 2
    figure = Figure(figsize=(11 if has_curve else 5.5, 4.5), layout="constrained")
    panels = figure.subplots(1, 2 if has_curve else 1, squeeze=False)[0]
    _heat_map(figure, panels[0], rows[rows["fit"].isin(rows["test_group"])])
    if has_curve:
        _curve(panels[1], mixed)
    figure.savefig(path, dpi=120)


def _heat_map(figure: Any, axes: Any, rows: pd.DataFrame) -> None:
    order = list(dict.fromkeys(rows["test_group"]))
    grid = rows.pivot_table(index="fit", columns="test_group", values="auroc", aggfunc="mean").reindex(order)[order]
    values = grid.to_numpy(float)
    image = axes.imshow(values, cmap="cividis")
    middle = (values.min() + values.max()) / 2
    for row, column in [(r, c) for r in range(len(order)) for c in range(len(order))]:
        value = values[row, column]
        axes.text(column, row, f"{value:.3f}", ha="center", va="center", color="black" if value > middle else "white")
        if row == column:
            axes.add_patch(_frame(row))
    axes.set_xticks(range(len(order)), order, rotation=30, ha="right")
    axes.set_yticks(range(len(order)), order)
    axes.set_xlabel("tested on")
    axes.set_ylabel("fitted on")
    axes.set_title("AUROC, mean of labels; framed: in distribution", fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.8)


def _frame(place: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((place - 0.48, place - 0.48), 0.96, 0.96, fill=False, edgecolor="tab:orange", linewidth=2)


def _curve(axes: Any, mixed: pd.DataFrame) -> None:
    for group, mine in mixed.groupby("test_group", sort=False):
        mean = mine.groupby("share")[["auroc", "low", "high"]].mean()
        line = axes.plot(100 * mean.index, mean["auroc"], marker="o", markersize=3, label=f"tested on {group}")[0]
        axes.fill_between(100 * mean.index, mean["low"], mean["high"], color=line.get_color(), alpha=0.15)
    varied = mixed.loc[mixed["share"] == 1, "fit"].iloc[0]
    axes.set_xlabel(f"training patients of {varied} (%), equally many in all")
    axes.set_ylabel("AUROC, mean of labels, 95 % over patients")
    axes.legend(fontsize=7)
