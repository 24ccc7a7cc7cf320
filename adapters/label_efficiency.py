"""How few labelled patients an adapter needs: the same recipe fitted on shares of them, with several seeds.

Shares of one seed are nested. Every fit is an adapter bundle and its predictions, whole or not there, so a run that
was stopped goes on where it was; the table and the picture are made of what lies on disk.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from adapters.base import AdapterConfig
from adapters.resumable import CannotTeach, Source, encoded, measured
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.encoder import Encoder
from raydino.features import Features
from raydino.tracking import console


@dataclass(frozen=True)
class Point:
    """One fit: the share of the training patients and the seed that chose them."""

    share: float
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"share-{self.share:g}-seed-{self.seed}"


def label_efficiency(
    config: AdapterConfig,
    encoder: Encoder,
    dataset: Dataset,
    features: Features | None,
    directory: Path,
    *,
    shares: Sequence[float],
    n_seeds: int,
    split: str,
) -> pd.DataFrame:
    """Fit and predict what is not yet in ``directory``; write and return one row a fit and label.

    Columns: share, seed, n_train (films), n_labels (that this share can teach), label (``mean`` over them first),
    figure, value, low, high (95 % over patients). A share that is too small to teach anything has no row.
    """
    if features is None:
        features = encoded(config, encoder, dataset, split)
    rows: list[dict[str, Any]] = []
    for share in sorted(set(shares)):
        for seed in range(config.recipe.seed, config.recipe.seed + n_seeds):
            point = Point(share, seed)
            rows += _measured(config, encoder, dataset, features, directory / point.name, point, split)
    table = pd.DataFrame(rows)
    table.to_csv(directory / "table.csv", index=False)
    write_json(directory / "table.json", json.loads(table.to_json(orient="records", double_precision=15)))
    return table


def _measured(
    config: AdapterConfig,
    encoder: Encoder,
    dataset: Dataset,
    features: Features,
    directory: Path,
    point: Point,
    split: str,
) -> list[dict[str, Any]]:
    recipe = config.recipe.model_copy(update={"train_share": point.share, "seed": point.seed})
    mine = config.model_copy(update={"recipe": recipe})
    try:
        found = measured(mine, encoder, Source(dataset, features), directory, split)
    except CannotTeach as error:
        if point.share == 1:
            raise
        console.print(f"{point.name}: {error.what}", markup=False, highlight=False)  # too few patients to learn from
        return []
    metrics = found.metrics
    shared = {"share": point.share, "seed": point.seed, "n_train": found.n_train, "n_labels": len(found.labels)}
    figures = {"mean": metrics["overall"], **metrics["per_label"]}
    name = next((name for name, value in metrics["overall"].items() if value == metrics["headline"]), "headline")
    return [
        {**shared, "label": label, "figure": name, "value": row.get(name)}
        | {end: row.get(f"{name}_{end}") for end in ("low", "high")}
        for label, row in figures.items()
    ]


def draw(table: pd.DataFrame, path: Path) -> None:
    """The mean over labels against the share: each fit with its interval over patients, a line through the seeds."""
    from matplotlib.figure import Figure  # slow to import, and only this needs it

    rows = table[(table["label"] == "mean") & table["value"].notna()]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for seed, mine in rows.groupby("seed"):
        ends = (mine[["low", "high"]].sub(mine["value"], axis=0).abs()).fillna(0).to_numpy(float).T
        axes.errorbar(
            100 * mine["share"], mine["value"], yerr=ends, fmt="o", markersize=3, alpha=0.5, label=f"seed {seed}"
        )
    mean = rows.groupby("share")["value"].agg(["mean", "min", "max"])
    axes.plot(100 * mean.index, mean["mean"], color="black", label="mean of seeds")
    axes.fill_between(100 * mean.index, mean["min"], mean["max"], color="black", alpha=0.15, label="range of seeds")
    axes.set_xscale("log")
    axes.set_xlabel("training patients (%)")
    axes.set_ylabel(f"{rows['figure'].iloc[0]}, mean of labels, 95 % over patients")
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=120)
