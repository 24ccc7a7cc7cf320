"""``raydino adapt suite``: each task of a list fitted and predicted with several seeds, and the table of figures.

Folders under the output: ``features/ENCODER/NAME`` (a data set encoded once, for the blocks that its tasks read) and
``ENCODER/TASK/seed-N`` (bundle and predictions, see ``resumable``); ENCODER is ``encoder`` or ``random``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from adapters.intervals import PatientBootstrap, interval, mean_over_labels
from adapters.metrics import mean_of
from adapters.resumable import CannotTeach, Measured, Source, measured
from adapters.suite_config import Suite, SuiteTask
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.encoder import ENCODER, EncoderCard
from raydino.artifacts.features import FEATURES
from raydino.artifacts.header import read_header
from raydino.encoder import Blocks, Encoder, save_encoder
from raydino.errors import UserError
from raydino.features import embed, load_features
from raydino.nn.vit import VisionTransformer
from raydino.tracking import console

RANDOM_SEED = 0


def run_suite(
    suite: Suite,
    beside: Path,
    encoders: Mapping[str, Encoder],
    datasets: Mapping[str, Dataset],
    directory: Path,
) -> list[dict[str, Any]]:
    """One row a task. ``encoders``: ``encoder``, and ``random`` where that baseline is asked for.

    ``value`` is the mean over seeds, ``low`` and ``high`` the mean ends of their 95 % intervals over patients,
    ``lowest_seed`` and ``highest_seed`` their range; ``random`` is the value of the random encoder. A task that
    was not run says why in ``not_run``.
    """
    unknown = sorted(datasets.keys() - {name for task in suite.tasks for name in (task.data, task.tested_on)})
    if unknown:
        named = ", ".join(sorted({task.data for task in suite.tasks} | {task.tested_on for task in suite.tasks}))
        raise UserError(f"no task of the suite is about {unknown[0]!r}", remedy=f"it names {named}")
    for dataset in datasets.values():
        dataset.require_disjoint_patients()
        encoders["encoder"].spec.require_same_pixels(dataset)
    columns = {name: _values(suite, beside, encoder, datasets, directory, name) for name, encoder in encoders.items()}
    rows = []
    for task in suite.tasks:
        row = _facts(task) | columns["encoder"][task.name]
        if "random" in columns:
            row["random"] = columns["random"][task.name].get("value")
        rows.append(row)
    return rows


def random_encoder(like: Encoder, path: Path) -> Encoder:
    """An encoder of the same shape and pixels with weights as pretraining starts from; made where it is not there."""
    inputs = {"like": like.spec.fingerprint}
    if path.exists():
        if read_header(path, ENCODER).inputs != inputs:
            raise UserError("is the random twin of another encoder", where=path, remedy="choose another --out")
        return Encoder.load(path)
    config = like.vit.config
    vit = VisionTransformer(config).initialise(torch.Generator().manual_seed(RANDOM_SEED))
    card = like.card
    save_encoder(
        path,
        vit,
        EncoderCard(vit=config.resolved(), pixels=card.pixels, mean=card.mean, std=card.std, steps=0),
        inputs=inputs,
    )
    return Encoder.load(path)


def _facts(task: SuiteTask) -> dict[str, Any]:
    literature = task.literature
    return {
        "task": task.name,
        "about": task.about,
        "adapter": task.config,
        "data": task.data,
        "tested_on": task.tested_on,
        "split": task.split,
        "figure": task.figure,
        "literature": literature.value if literature else None,
        "literature_source": literature.source if literature else None,
    }


def _values(
    suite: Suite, beside: Path, encoder: Encoder, datasets: Mapping[str, Dataset], directory: Path, name: str
) -> dict[str, dict[str, Any]]:
    """Of each task with one encoder."""
    found: dict[str, dict[str, Any]] = {}
    sources: dict[str, Source] = {}
    for task in suite.tasks:
        missing = [data for data in dict.fromkeys((task.data, task.tested_on)) if data not in datasets]
        if missing:
            found[task.name] = {"not_run": f"no --data {missing[0]}=DATASET"}
            continue
        for data in (task.data, task.tested_on):
            if data not in sources:
                blocks = _blocks(suite, beside, data)
                at = directory / "features" / name / data
                sources[data] = _encoded(encoder, datasets[data], blocks, at)
        console.print(f"{name}: {task.name}", markup=False, highlight=False)
        found[task.name] = _of_seeds(task, suite.seeds, beside, encoder, sources, directory / name / task.name)
    return found


def _of_seeds(
    task: SuiteTask, n_seeds: int, beside: Path, encoder: Encoder, sources: Mapping[str, Source], directory: Path
) -> dict[str, Any]:
    values, ends = [], []
    for seed in range(n_seeds):
        config, at = task.adapter(beside, seed), directory / f"seed-{seed}"
        try:
            one = measured(config, encoder, sources[task.data], at, task.split, sources[task.tested_on])
        except CannotTeach as error:
            return {"not_run": str(error)}
        values.append(figure_of(one, task.figure))
        ends.append(patient_interval(one, task.figure))
    known = [value for value in values if value is not None]
    return {
        "n_films": one.metrics["n_films"],
        "n_labels": len(one.labels),
        "seeds": n_seeds,
        "value": mean_of(values),
        "low": mean_of(low for low, _ in ends),
        "high": mean_of(high for _, high in ends),
        "lowest_seed": min(known, default=None),
        "highest_seed": max(known, default=None),
        "not_run": None if known else f"{task.figure} is undefined: {'; '.join(one.metrics['notes'].values())}",
    }


def figure_of(one: Measured, figure: str) -> float | None:
    """A mean over labels of ``metrics.json``. Raises UserError for a figure that the task has not."""
    if figure in one.metrics["overall"]:
        return one.metrics["overall"][figure]
    rows = one.metrics["per_label"].values()
    if not any(figure in row for row in rows):
        has = sorted({*one.metrics["overall"], *(name for row in rows for name in row)})
        raise UserError(f"no figure {figure!r} of {one.predictions.task}", remedy=f"one of {', '.join(has)}")
    return mean_of(row.get(figure) for row in rows)


def patient_interval(one: Measured, figure: str) -> tuple[float | None, float | None]:
    """The 95 % interval over patients of what ``figure_of`` gives; (None, None) where that is no mean over films."""
    overall, table = one.metrics["overall"], one.predictions.table
    if f"{figure}_low" in overall:
        return overall[f"{figure}_low"], overall[f"{figure}_high"]
    if figure in table:
        values = table[figure]
    elif figure == "mae":
        values = (table["prediction"] - table["target"]).abs()
    else:
        return None, None
    labels = [values[rows.index].to_numpy(np.float64) for _, rows in table.groupby("label", sort=False)]
    patients = table["patient_id"].iloc[: len(table) // len(labels)].tolist()  # in long form: the films of a label
    bootstrap = PatientBootstrap(patients)
    return interval(mean_over_labels([bootstrap.mean(column) for column in labels]))


def _blocks(suite: Suite, beside: Path, data: str) -> Blocks:
    """Of the encoder: all that some task about ``data`` reads, in order."""
    about = [task for task in suite.tasks if data in (task.data, task.tested_on)]
    return tuple(sorted({block for task in about for block in task.adapter(beside, 0).recipe.blocks}))


def _encoded(encoder: Encoder, dataset: Dataset, blocks: Blocks, at: Path) -> Source:
    """All films of ``dataset``, encoded once and memory-mapped."""
    if at.exists() and tuple(read_header(at, FEATURES).config["blocks"]) != blocks:
        raise UserError(
            "features of other blocks than the suite reads", where=at, remedy="remove them, or another --out"
        )
    if not at.exists():
        at.parent.mkdir(parents=True, exist_ok=True)
        embed(at, encoder, dataset, blocks=blocks)
    return Source(dataset, load_features(at, encoder=encoder.spec, dataset=dataset))


def write_tables(rows: list[dict[str, Any]], directory: Path) -> str:
    """Write ``table.csv``, ``table.json`` and ``table.md``; returns the last one's text."""
    frame = pd.DataFrame(rows)
    frame.to_csv(directory / "table.csv", index=False)
    whole = json.loads(frame.to_json(orient="records", double_precision=15))
    (directory / "table.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    text = markdown(whole)
    (directory / "table.md").write_text(text, encoding="utf-8")
    return text


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table for people: tasks that ran, then those that did not, each with its reason."""
    with_random = any(row.get("random") is not None for row in rows)
    headings = ["task", "adapter", "fitted on", "tested on", "films", "figure", "value (95 % of patients)", "seeds"]
    headings += ["random encoder"] * with_random + ["literature"]
    lines = [headings, ["---"] * len(headings)]
    for row in rows:
        if row.get("not_run"):
            continue
        cells = [row["task"], row["adapter"].removesuffix(".yaml"), row["data"], f"{row['tested_on']} {row['split']}"]
        cells += [f"{int(row['n_films'])}", row["figure"], _with_ends(row["value"], row["low"], row["high"])]
        cells += [f"{int(row['seeds'])}: {row['lowest_seed']:.3f}–{row['highest_seed']:.3f}"]
        cells += [_shown(row["random"])] * with_random
        source = row["literature_source"]
        lines.append([*cells, f"{_shown(row['literature'])} ({source})" if source else "–"])
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    idle = [f"- {row['task']} ({row['about']}): {row['not_run']}" for row in rows if row.get("not_run")]
    return text + "\n" + ("\nNot run:\n\n" + "\n".join(idle) + "\n" if idle else "")


def _with_ends(value: float, low: float | None, high: float | None) -> str:
    return _shown(value) if low is None or high is None else f"{value:.3f} ({low:.3f}–{high:.3f})"


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
